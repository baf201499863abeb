// Command enhance is an insight engine's loop: it asks about many insights at once, and shows the best advice first.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var questions []*networkv1.EnhanceInsightRequest
	for days := 30; days <= 90; days += 15 {
		conditions, err := structpb.NewStruct(map[string]any{"days_since_visit": days, "service": "Swedish Massage"})
		if err != nil {
			log.Fatal(err)
		}
		questions = append(questions, &networkv1.EnhanceInsightRequest{
			AccountId: "go-spa-99",
			Insight: &networkv1.Insight{
				Type: "churn_prevention", BusinessCategory: "spa", Conditions: conditions, Confidence: 0.6,
				PotentialValue: float64(days),
			},
		})
	}
	answers := client.EnhanceAll(ctx, questions)
	slices.SortStableFunc(answers, func(a, b keeper.Enhanced) int {
		return cmp.Compare(b.Response.GetEnhancedInsight().GetConfidence(), a.Response.GetEnhancedInsight().GetConfidence())
	})
	for _, answer := range answers {
		enhanced := answer.Response.GetEnhancedInsight()
		switch {
		case answer.Err != nil:
			fmt.Println("failed:", answer.Err)
		case enhanced.GetNetworkEnhanced():
			fmt.Printf("%s: %.0f%%\n", enhanced.GetSuggestedApproach(), 100*enhanced.GetExpectedSuccessRate())
		default:
			fmt.Println("not enhanced:", answer.Response.GetNoMatchReason())
		}
	}
}
