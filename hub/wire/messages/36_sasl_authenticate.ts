// SaslAuthenticate (36): one step of an authentication (KIP-152).
import { bytes, int16, int64, message, string } from "../schema.ts";

// Version notes
//  1  session lifetime (KIP-368)
//  2  flexible
const versions = { min: 0, max: 2, flexible: 2 };

export const saslAuthenticateRequest = message("SaslAuthenticateRequest", versions, {
  authBytes: bytes(),
});

export const saslAuthenticateResponse = message("SaslAuthenticateResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0 }),
  authBytes: bytes(),
  sessionLifetimeMs: int64({ since: 1, default: 0 }),
});
