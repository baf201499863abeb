// Command capture adds one action of each of three accounts, and its outcome, to the network.
package main

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/protobuf/types/known/structpb"

	"keeper.internal/clients/go/examples/internal/connect"
	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

func main() {
	client, err := connect.FromFlags()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	conditions, err := structpb.NewStruct(map[string]any{"days_since_visit": 45, "service": "Swedish Massage"})
	if err != nil {
		log.Fatal(err)
	}
	for _, account := range []string{"go-spa-01", "go-spa-02", "go-spa-03"} {
		revenue := 120.0
		reply, err := client.Network.CapturePattern(context.Background(), &networkv1.CapturePatternRequest{
			AccountId: account,
			Insight: &networkv1.Insight{
				Type:             "churn_prevention",
				BusinessCategory: "spa",
				Conditions:       conditions,
				Action:           "Send the guest a personal reminder with 20% off",
				Script:           "Hi {name}, we miss you! Your next massage is 20% off.",
				Confidence:       0.7,
			},
			Outcome: &networkv1.Outcome{Success: true, RevenueImpact: &revenue},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: captured, replayed: %t\n", account, reply.GetReplayed())
	}
}
