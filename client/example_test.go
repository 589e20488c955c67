package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/herald-push/herald/client"
)

func Example() {
	herald := client.Client{URL: standIn(), Key: os.Getenv("HERALD_KEY")}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	progress, err := herald.Send(ctx, client.Notification{
		ID:    "order-8812-shipped", // sending it again changes nothing
		To:    client.Audience{Device: "phone-1"},
		Title: "Shipped",
		Body:  "Your parcel is on its way",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(progress.ID, progress.State)
	// Output: order-8812-shipped queued
}

func ExampleProblem() {
	herald := client.Client{URL: standIn(), Key: os.Getenv("HERALD_KEY")}
	_, err := herald.Progress(context.Background(), "nobody-knows")

	var problem *client.Problem
	if errors.As(err, &problem) && problem.Code == client.CodeNotFound {
		fmt.Println("there is no such notification")
	}
	// Output: there is no such notification
}

func ExampleClient_Deliveries() {
	herald := client.Client{URL: standIn(), Key: os.Getenv("HERALD_KEY")}
	query := client.Query{Limit: 100}
	for {
		page, err := herald.Deliveries(context.Background(), "order-8812-shipped", query)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, d := range page.Deliveries {
			fmt.Println(d.Device, d.Stage)
		}
		if page.Next == "" {
			return
		}
		query.After = page.Next
	}
	// Output:
	// phone-1 delivered
	// phone-2 failed
}

// standIn answers as Herald does, so that the examples run.
func standIn() (url string) {
	mux := http.NewServeMux()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	mux.Handle("POST /v1/notifications", answer(http.StatusAccepted, `{"id":"order-8812-shipped","state":"queued"}`))
	mux.Handle("GET /v1/notifications/nobody-knows", answer(http.StatusNotFound, `{"status":404,"code":"not_found"}`))
	mux.HandleFunc("GET /v1/notifications/order-8812-shipped/deliveries", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "" {
			fmt.Fprint(w, `{"deliveries":[{"device":"phone-1","stage":"delivered"}],"next":"1"}`)
			return
		}
		fmt.Fprint(w, `{"deliveries":[{"device":"phone-2","stage":"failed"}]}`)
	})
	return httptest.NewServer(mux).URL
}
