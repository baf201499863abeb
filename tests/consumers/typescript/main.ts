// A consumer of the generated code: a question on its way to the wire and back.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  EnhanceInsightRequestSchema,
  NetworkLearningService,
} from "./gen/keeper/network/v1/network_service_pb.js";

const request = create(EnhanceInsightRequestSchema, {
  accountId: "account",
  insight: { type: "churn_prevention", businessCategory: "spa", confidence: 0.6 },
});
const read = fromBinary(
  EnhanceInsightRequestSchema,
  toBinary(EnhanceInsightRequestSchema, request),
);
console.log(NetworkLearningService.typeName, read.insight?.type);
