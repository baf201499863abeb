// The stream of emerging patterns, through interruptions.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { mayRetry, pause, type Keeper } from "./client.js";
import {
  StreamEmergingPatternsRequestSchema,
  type StreamEmergingPatternsResponse,
} from "./gen/keeper/network/v1/network_service_pb.js";

export type EmergingEvent =
  | { case: "message"; message: StreamEmergingPatternsResponse }
  /** The server cannot be reached, so the last message may be stale. The watch goes on trying. */
  | { case: "interrupted"; error: ConnectError };

/**
 * Messages until the signal aborts: a snapshot, then every change. A stream that ends is followed by one that resumes after
 * the last message. A token that has become too old brings a new snapshot, which replaces what was known (its end says so:
 * resumeTokenExpired). Throws what no retry cures.
 */
export async function* watchEmerging(
  client: Keeper,
  wanted: MessageInitShape<typeof StreamEmergingPatternsRequestSchema>,
  signal: AbortSignal,
): AsyncGenerator<EmergingEvent> {
  const request = create(StreamEmergingPatternsRequestSchema, wanted);
  for (let failures = 0; ; ) {
    let error: ConnectError;
    try {
      for await (const message of client.network.streamEmergingPatterns(request, { signal })) {
        failures = 0;
        request.resumeToken = message.resumeToken;
        yield { case: "message", message };
      }
      // This server's streams never end well; a proxy's may.
      error = new ConnectError("the stream ended early", Code.Unavailable);
    } catch (reason) {
      error = ConnectError.from(reason);
    }
    if (signal.aborted) {
      return;
    }
    if (!mayRetry(error)) {
      throw error;
    }
    failures++;
    // A stream that merely reached its maximum age is followed at once.
    if (failures > 1) {
      yield { case: "interrupted", error };
    }
    await pause(failures, error, signal).catch(() => undefined);
  }
}
