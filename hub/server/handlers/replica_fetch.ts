// Fetch (1) of another hub that follows: its acknowledgements in, records above the watermark out.
import { type FeedAnswer, FollowerFeed } from "../../engine/follower_feed.ts";
import { codeOf, type ErrorName, HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";

type Request = RequestOf<"fetch">;
type Response = ResponseOf<"fetch">;

/** First version that can bear what hubs say. */
const versionMin = 15;

/** One feed for each follower: a new connection of a hub takes the place of its old one. */
export function replicaFetchHandler(services: HubServices) {
  const feeds = new Map<string, FollowerFeed>();

  const feedOf = (request: Request, { hub, connectionId }: RequestContext): FollowerFeed | ErrorName => {
    const office = services.peering?.office;
    const claimed = Math.max(request.replicaId, request.replicaState.replicaId);
    // Only a hub may fetch as a replica, and as itself alone: it moves the watermark (testing.md 4e, offset forging).
    if (!hub || !office || claimed !== hub.hubId) {
      throw new HubError("CLUSTER_AUTHORIZATION_FAILED", "Only a hub may fetch as a replica, and as itself alone");
    }
    const replica = `${hub.hubId}:${hub.dirId}`;
    const known = feeds.get(replica);
    if (request.sessionEpoch > 0) {
      return known?.connectionId === connectionId ? known : "FETCH_SESSION_ID_NOT_FOUND";
    }
    known?.end();
    const feed = new FollowerFeed(replica, connectionId, office, services.clock);
    feeds.set(replica, feed);
    return feed;
  };

  return async (request: Request, context: RequestContext): Promise<Response> => {
    const feed = feedOf(request, context);
    if (context.version < versionMin) throw new HubError("UNSUPPORTED_VERSION", "Hubs fetch from version 15 on");
    if (typeof feed === "string") return refusal(feed);
    if (!feed.take(request)) return refusal("INVALID_FETCH_SESSION_EPOCH");
    const deadline = services.clock.now() + Math.min(request.maxWaitMs, limits.replicaFetchWaitMs);
    const bytesMax = Math.min(Math.max(request.maxBytes, 1), limits.replicaFetchBytesMax);
    let left = false;
    for (;;) {
      const answers = await feed.collect(bytesMax);
      const waitMs = deadline - services.clock.now();
      if (answers.length > 0) return answerOf(merged(answers, feed.quiet(false)));
      if (left || waitMs < 1) return answerOf(feed.quiet(!left));
      const { woken, leave } = feed.wait(waitMs);
      context.onGone?.(() => {
        left = true;
        leave();
      });
      await woken;
      context.onGone?.(null);
    }
  };
}

/** Of a partition that is in both, what came with records says as much. */
function merged(answers: readonly FeedAnswer[], quiet: readonly FeedAnswer[]): readonly FeedAnswer[] {
  return quiet.length === 0 ? answers : [...answers, ...quiet];
}

function answerOf(answers: readonly FeedAnswer[]): Response {
  const topics = new Map<string, FeedAnswer[]>();
  for (const answer of answers) {
    const known = topics.get(answer.topicId);
    if (known === undefined) topics.set(answer.topicId, [answer]);
    else known.push(answer);
  }
  return { errorCode: 0, responses: [...topics].map(([topicId, partitions]) => ({ topicId, partitions })) };
}

function refusal(error: ErrorName): Response {
  return { errorCode: codeOf(error), responses: [] };
}
