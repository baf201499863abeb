// A consumer of the generated code: it starts, asks the server for its patterns and ends.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	networkv1 "example.com/consumer/gen/keeper/network/v1"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	network := networkv1.NewNetworkLearningServiceClient(connection)
	reply, err := network.ListPatterns(ctx, &networkv1.ListPatternsRequest{PageSize: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("answered with %d patterns\n", len(reply.GetPatterns()))
}
