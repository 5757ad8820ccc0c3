// AlterUserScramCredentials (51): adds, replaces or removes SCRAM credentials (KIP-554).
import { array, bytes, int16, int32, int8, message, string } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const alterUserScramCredentialsRequest = message("AlterUserScramCredentialsRequest", versions, {
  deletions: array({
    name: string(),
    mechanism: int8(),
  }),
  upsertions: array({
    name: string(),
    mechanism: int8(),
    iterations: int32(),
    salt: bytes(),
    saltedPassword: bytes(),
  }),
});

export const alterUserScramCredentialsResponse = message("AlterUserScramCredentialsResponse", versions, {
  throttleTimeMs: int32(),
  results: array({
    user: string(),
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
  }),
});
