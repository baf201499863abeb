// The network's calls over any of Connect's transports: connect-node on a server, connect-web in a browser.
import { randomUUID } from "./uuid.js";
import {
  Code,
  ConnectError,
  createClient,
  type Client,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { AdminService } from "./gen/keeper/network/v1/admin_service_pb.js";
import { NetworkLearningService } from "./gen/keeper/network/v1/network_service_pb.js";
import { keeperError } from "./errors.js";

export interface Keeper {
  network: Client<typeof NetworkLearningService>;
  admin: Client<typeof AdminService>;
}

/** The stubs of both services. Give the transport `interceptors()`, which add what stubs cannot do alone. */
export function keeper(transport: Transport): Keeper {
  return {
    network: createClient(NetworkLearningService, transport),
    admin: createClient(AdminService, transport),
  };
}

export interface Chosen {
  /** The bearer token of a call; asked for each, so that a renewed one is sent at once. */
  token?: () => string | Promise<string>;
  /** Attempts of a unary call in all. */
  attempts?: number;
}

/**
 * For a transport: the token; a request_id where a request has none; and another attempt where a server was not reached or
 * was busy, after the wait that it asks for, with the same request_id.
 */
export function interceptors(chosen: Chosen = {}): Interceptor[] {
  return [withToken(chosen.token), withRequestId, withRetries(chosen.attempts ?? 4)];
}

function withToken(token: Chosen["token"]): Interceptor {
  return (next) => async (request) => {
    if (token !== undefined) {
      request.header.set("authorization", `Bearer ${await token()}`);
    }
    return next(request);
  };
}

const withRequestId: Interceptor = (next) => (request) => {
  if (!request.stream && "requestId" in request.message && request.message.requestId === "") {
    return next({ ...request, message: { ...request.message, requestId: randomUUID() } } as typeof request);
  }
  return next(request);
};

function withRetries(attempts: number): Interceptor {
  return (next) => async (request) => {
    for (let failures = 1; ; failures++) {
      try {
        return await next(request);
      } catch (reason) {
        const error = ConnectError.from(reason);
        if (request.stream || failures >= attempts || !mayRetry(error) || request.signal.aborted) {
          throw error;
        }
        await pause(failures, error, request.signal);
      }
    }
  };
}

export function mayRetry(error: ConnectError): boolean {
  return (
    error.code === Code.Unavailable ||
    error.code === Code.ResourceExhausted ||
    // The server's own limit was reached, and not the caller's deadline.
    keeperError(error).reason === "CALL_DURATION_EXCEEDED"
  );
}

/** Waits as the server asks, and a random part of a backoff that doubles up to ten seconds. */
export function pause(failures: number, error: ConnectError, signal: AbortSignal): Promise<void> {
  const backoff = Math.min(10_000, 100 * 2 ** Math.min(failures - 1, 20));
  const wait = keeperError(error).retryAfterMs + Math.random() * backoff;
  return new Promise((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, wait);
    signal.addEventListener("abort", aborted, { once: true });
  });
}
