// What the server says of an error, beside code and message.
import type { ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

export interface KeeperError {
  /** The server's name of the error ("INVALID_REQUEST"); empty for an error from elsewhere. */
  reason: string;
  fieldViolations: { field: string; description: string }[];
  /** How long the server asks to wait; 0 where it does not say. */
  retryAfterMs: number;
}

export function keeperError(error: ConnectError): KeeperError {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  return {
    reason: info?.reason ?? "",
    fieldViolations: error
      .findDetails(BadRequestSchema)
      .flatMap((bad) => bad.fieldViolations)
      .map(({ field, description }) => ({ field, description })),
    retryAfterMs: delay === undefined ? 0 : Number(delay.seconds) * 1000 + delay.nanos / 1e6,
  };
}
