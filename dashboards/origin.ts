// Which pages may open a socket here: same origin by default, and no name that a stranger can point at this host. Pure.

/**
 * Decides on the Origin of an upgrade. No Origin means no browser, which no page can make use of: allowed.
 * The host must be an address or a name of the local network: a public name could be one that a strange page had
 * resolved to this host (DNS rebinding), so public names are listed in `allowed`.
 * @param allowed origins as `https://hub.example.org`
 */
export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
  ownName = "",
): boolean {
  if (origin === undefined) return true;
  if (allowed.includes(origin)) return true;
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return false; // "null" of a sandboxed frame, too
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return false;
  return host !== undefined && url.host === host.toLowerCase() && isLocalName(url.hostname, ownName.toLowerCase());
}

const localEndings = [".localhost", ".local", ".lan", ".home.arpa", ".internal"];

function isLocalName(name: string, ownName: string): boolean {
  if (name.startsWith("[") || /^\d{1,3}(\.\d{1,3}){3}$/.test(name)) return true;
  if (!name.includes(".") || name === ownName) return true;
  return localEndings.some((ending) => name.endsWith(ending));
}
