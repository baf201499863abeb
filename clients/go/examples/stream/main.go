// Command stream follows the emerging patterns, through restarts of the server, until it is interrupted.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	keeper "keeper.internal/clients/go"
	"keeper.internal/clients/go/examples/internal/connect"
	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

func main() {
	client, err := connect.FromFlags()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for event, err := range client.WatchEmerging(ctx, &networkv1.StreamEmergingPatternsRequest{}) {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		switch event := event.(type) {
		case keeper.Changed:
			fmt.Printf("%s %s: %s\n", event.Pattern.GetChange(), event.Pattern.GetPatternType(), event.Pattern.GetLabel())
		case keeper.SnapshotComplete:
			fmt.Printf("that is all of %d; waiting for changes\n", event.Count)
		case keeper.Interrupted:
			fmt.Println("interrupted:", event.Err)
		}
	}
}
