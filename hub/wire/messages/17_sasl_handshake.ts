// SaslHandshake (17): names the mechanism of the authentication that follows (KIP-43).
import { int16, list, message, string } from "../schema.ts";

// Version notes
//  1  tokens travel in SaslAuthenticate requests (KIP-152)
const versions = { min: 0, max: 1, flexible: Infinity };

export const saslHandshakeRequest = message("SaslHandshakeRequest", versions, {
  mechanism: string(),
});

export const saslHandshakeResponse = message("SaslHandshakeResponse", versions, {
  errorCode: int16(),
  mechanisms: list(string()),
});
