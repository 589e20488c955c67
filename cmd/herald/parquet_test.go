package main

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/herald-push/herald/analytics"
)

func TestParquetHoldsWhatJSONDoes(t *testing.T) {
	at := time.Date(2026, 5, 1, 8, 0, 0, 123_000_000, time.UTC)
	class := analytics.ClassRow{Class: "otp", Notifications: 3, P50Ms: 1.5}
	class.Provider, class.Delivered = "apns", 2
	tests := map[string]struct {
		value any
		want  map[string]any
	}{
		"numbers, texts and times": {
			[]analytics.ErrorRow{{Provider: "apns", Kind: "rejected", Receipts: 7, Last: at}},
			map[string]any{"provider": "apns", "kind": "rejected", "receipts": uint64(7), "last": at.UnixNano()},
		},
		"what is embedded": {[]analytics.ClassRow{class}, map[string]any{"class": "otp", "provider": "apns", "delivered": uint64(2), "p50_ms": 1.5}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := (formatFlag{Format: "parquet"}).print(&out, tt.value, nil, nil); err != nil {
				t.Fatal(err)
			}
			file, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
			if err != nil || file.NumRows() != 1 {
				t.Fatalf("%v, %v", file, err)
			}
			rows := make([]parquet.Row, 1)
			reader := file.RowGroups()[0].Rows()
			defer reader.Close()
			if n, _ := reader.ReadRows(rows); n != 1 {
				t.Fatal("no row")
			}
			for i, path := range file.Schema().Columns() {
				want, asked := tt.want[path[0]]
				if !asked {
					continue
				}
				delete(tt.want, path[0])
				var got any
				switch v := rows[0][i]; want.(type) {
				case string:
					got = v.String()
				case uint64:
					got = v.Uint64()
				case int64:
					got = v.Int64()
				case float64:
					got = v.Double()
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s = %v, want %v", path[0], got, want)
				}
			}
			if len(tt.want) > 0 {
				t.Errorf("columns are missing: %v", tt.want)
			}
		})
	}
	if err := (formatFlag{Format: "parquet"}).print(new(bytes.Buffer), map[string]int{}, nil, nil); err == nil {
		t.Error("a map was taken for a table")
	}
}
