// Capture, enhance, a typed error, and then the emerging patterns until Ctrl-C:
//   node built/examples/node.js http://127.0.0.1:8081 [token file]
import { readFile } from "node:fs/promises";
import { ConnectError } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { interceptors, keeper } from "../src/client.js";
import { watchEmerging } from "../src/emerging.js";
import { keeperError } from "../src/errors.js";
import { EmergingPattern_Change } from "../src/gen/keeper/network/v1/emerging_pb.js";

const [baseUrl = "http://127.0.0.1:8081", tokenFile] = process.argv.slice(2);
const client = keeper(
  createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: interceptors(
      tokenFile === undefined ? {} : { token: async () => (await readFile(tokenFile, "utf8")).trim() },
    ),
  }),
);
const guest = {
  type: "churn_prevention",
  businessCategory: "spa",
  conditions: { days_since_visit: 45, service: "Swedish Massage" },
  confidence: 0.6,
};

for (const accountId of ["ts-spa-01", "ts-spa-02", "ts-spa-03"]) {
  const { replayed } = await client.network.capturePattern({
    accountId,
    insight: { ...guest, action: "Send the guest a personal reminder with 20% off" },
    outcome: { success: true, revenueImpact: 120 },
  });
  console.log(`${accountId}: captured, replayed: ${replayed}`);
}

const { enhancedInsight } = await client.network.enhanceInsight({ accountId: "ts-spa-99", insight: guest });
console.log(`${enhancedInsight?.suggestedApproach}: ${Math.round(100 * (enhancedInsight?.expectedSuccessRate ?? 0))}%`);

try {
  await client.network.capturePattern({ insight: guest });
} catch (reason) {
  const error = ConnectError.from(reason);
  const { reason: name, fieldViolations } = keeperError(error);
  console.log(`${name}: ${fieldViolations.map(({ field }) => field).join(", ")}`);
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());
for await (const event of watchEmerging(client, {}, stop.signal)) {
  if (event.case === "interrupted") {
    console.log(`interrupted: ${event.error.message}`);
  } else if (event.message.event.case === "emergingPattern") {
    const pattern = event.message.event.value;
    console.log(`${EmergingPattern_Change[pattern.change]} ${pattern.patternType}: ${pattern.label}`);
  } else if (event.message.event.case === "snapshotComplete") {
    console.log(`that is all of ${event.message.event.value.count}; waiting for changes`);
  }
}
