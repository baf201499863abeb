import com.keeper.network.v1.ListPatternsRequest;
import com.keeper.network.v1.ListPatternsResponse;
import com.keeper.network.v1.NetworkLearningServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.util.concurrent.TimeUnit;

/** A consumer of the generated code: it starts, asks the server for its patterns and ends. */
public final class Consumer {
  public static void main(String[] arguments) {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    try {
      ListPatternsResponse reply =
          NetworkLearningServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(1, TimeUnit.MINUTES)
              .listPatterns(ListPatternsRequest.newBuilder().setPageSize(1).build());
      System.out.printf("answered with %d patterns%n", reply.getPatternsCount());
    } finally {
      channel.shutdownNow();
    }
  }
}
