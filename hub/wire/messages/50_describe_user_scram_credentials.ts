// DescribeUserScramCredentials (50): which users have SCRAM credentials, without the secrets (KIP-554).
import { array, int16, int32, int8, message, string } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const describeUserScramCredentialsRequest = message("DescribeUserScramCredentialsRequest", versions, {
  users: array(
    {
      name: string(),
    },
    { nullable: 0 },
  ),
});

export const describeUserScramCredentialsResponse = message("DescribeUserScramCredentialsResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0 }),
  results: array({
    user: string(),
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    credentialInfos: array({
      mechanism: int8(),
      iterations: int32(),
    }),
  }),
});
