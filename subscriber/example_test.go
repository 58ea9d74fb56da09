package subscriber_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantry/tenantry/subscriber"
)

// The service that owns the data announces a change after it has committed it.
func ExamplePublisher_Announce() { //nolint:testableexamples // it needs a Redis
	publisher, err := subscriber.NewPublisher(subscriber.Config{
		Addresses: []string{"127.0.0.1:6379"},
		Namespace: "crm",
		Source:    "wrapper",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer publisher.Close()

	// Until Redis has acknowledged, or a minute has passed.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = publisher.Announce(ctx, "123", "credit-configs", subscriber.Announcement{
		Type:    "credit-config-changed",
		Version: new(uint64(8)), // of the item, as in its document
		Data: map[string]any{
			"operationCode": "crm.leads.create",
			"changedFields": []string{"credit_cost"},
			"newValue":      3.5,
		},
	})
	if err != nil {
		fmt.Println("keep the event, and announce it later:", err)
	}
}
