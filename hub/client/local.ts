// The connection without a socket: requests go to the hub's dispatch as objects, batches by reference.
import { HubError } from "../errors.ts";
import { apis } from "../wire/apis.ts";
import type { ApiName, CallOf, ReplyOf, RequestOf, ResponseOf } from "../wire/apis.ts";
import { fill } from "../wire/codec.ts";
import type { Message } from "../wire/schema.ts";
import type { Connection, LocalAppend, LocalRead } from "./connection.ts";
import { newestSent } from "./versions.ts";

/** Who asks, as dispatch wants to know it. */
export interface LocalContext {
  readonly version: number;
  readonly clientId: string | null;
  readonly clientHost: string;
  readonly connectionId: number;
  readonly listener: { readonly host: string; readonly port: number };
  readonly inProcess: true;
}

/** How a hub takes a request: it begins within the call, so that calls take effect in their order. */
export type LocalDispatch = <N extends ApiName>(
  api: N,
  request: RequestOf<N>,
  context: LocalContext,
) => Promise<ResponseOf<N> | null>;

/** What goes to the hub without a request. */
export interface LocalWays {
  readonly append?: LocalAppend;
  readonly read?: LocalRead;
}

let lastId = 0;

/** Opens a connection to the hub in this process, in the newest versions both know. Nothing is copied or encoded. */
export function openLocal(dispatch: LocalDispatch, clientId: string, { append, read }: LocalWays = {}): Connection {
  lastId += 1;
  const listener = { host: "127.0.0.1", port: 0 };
  const base = { clientId, clientHost: "local", connectionId: -lastId, listener, inProcess: true as const };
  const contexts = new Map<ApiName, LocalContext>();
  let open = true;

  const contextOf = (api: ApiName): LocalContext => {
    const known = contexts.get(api);
    if (known !== undefined) return known;
    const context = { ...base, version: newestSent(api) };
    contexts.set(api, context);
    return context;
  };

  const begin = <N extends ApiName>(api: N, request: CallOf<N>): Promise<ResponseOf<N> | null> => {
    if (!open) return Promise.reject(new HubError("NETWORK_EXCEPTION", "the client is closed"));
    const filled = fill<Message>(apis[api].request, request as never) as RequestOf<N>;
    return dispatch(api, filled, contextOf(api));
  };

  return {
    get open() {
      return open;
    },
    direct: true,
    ...(append === undefined ? {} : { append: (...args: Parameters<LocalAppend>) => open && append(...args) }),
    ...(read === undefined ? {} : { read: (...args: Parameters<LocalRead>) => (open ? read(...args) : null) }),
    version: newestSent,
    async call<N extends ApiName>(api: N, request: CallOf<N>): Promise<ReplyOf<N>> {
      const response = await begin(api, request);
      if (response === null) throw new HubError("UNKNOWN_SERVER_ERROR", `${api} was not answered`);
      return fill<Message>(apis[api].response, response as never) as ReplyOf<N>;
    },
    tell(api, request) {
      // Without an answer there is nobody to tell of a failure either (acks=0).
      begin(api, request).catch(() => {});
    },
    buffered: () => 0,
    close() {
      open = false;
    },
  };
}
