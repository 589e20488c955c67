// Command dealer is a car dealer's server, in two shapes: the one it was built
// with years ago, with rows of texts, and the one it has after it was rebuilt.
// The garage that keeps the cars' histories has the same program.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/examples/business"
)

// car is one as the dealer keeps it.
type car struct {
	no, maker, model string
	euros            int
	sold             bool
	history          []string
}

func cars() []car {
	return []car{
		{"4711", "Renault", "Clio", 9900, false, []string{"2023-05 new tyres", "2025-02 inspection"}},
		{"4712", "Renault", "Zoe", 12500, false, []string{"2024-11 new battery"}},
		{"4713", "Renault", "Espace", 18900, true, nil},
		{"4714", "Fiat", "Panda", 6400, false, nil},
	}
}

func main() {
	shape := flag.Int("shape", 1, "1: as it was built; 2: as it was rebuilt")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /history/{no}", history)
	if *shape == 1 {
		mux.HandleFunc("GET /stock", stock)
		mux.HandleFunc("GET /stock/{no}", one)
		mux.HandleFunc("POST /stock/{no}/hold", hold)
	} else {
		mux.HandleFunc("GET /v2/vehicles", vehicles)
		mux.HandleFunc("GET /v2/vehicles/{vin}", vehicle)
		mux.HandleFunc("POST /v2/reservations", reserve)
	}
	if err := business.Serve(*listen, signed(os.Getenv("DEALER_KEY"), mux)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// signed lets in who proves with an HMAC that he has the key. Each is good for
// a minute.
func signed(key string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // it is in memory
		r.Body = io.NopCloser(bytes.NewReader(body))
		stamp := r.Header.Get("X-Timestamp")
		m := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(m, "%s %s %s %s", stamp, r.Method, r.URL.Path, body)
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		age := time.Since(time.Unix(seconds, 0)).Abs()
		if err != nil || age > time.Minute || !hmac.Equal([]byte(r.Header.Get("X-Signature")), []byte(hex.EncodeToString(m.Sum(nil)))) {
			business.Answer(w, http.StatusUnauthorized, map[string]string{"error": "who are you?"})
			return
		}
		h.ServeHTTP(w, r)
	})
}

func find(no string) *car {
	for _, c := range cars() {
		if c.no == no {
			return &c
		}
	}
	return nil
}

// of are the cars of a maker, from the one at first, and how many there are.
func of(maker string, first, most int) (found []car, total int) {
	for _, c := range cars() {
		if strings.EqualFold(c.maker, maker) {
			found = append(found, c)
		}
	}
	total = len(found)
	found = found[min(max(first, 0), total):]
	return found[:min(max(most, 0), len(found))], total
}

// row is a car of shape 1: texts in an order that one has to know.
func (c car) row() []string {
	return []string{c.no, c.maker, c.model, strconv.Itoa(c.euros) + " EUR"}
}

// stock is the list of shape 1.
func stock(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	found, total := of(r.URL.Query().Get("make"), from, n)
	rows := [][]string{}
	for _, c := range found {
		rows = append(rows, c.row())
	}
	business.Answer(w, http.StatusOK, map[string]any{"rows": rows, "total": total})
}

func one(w http.ResponseWriter, r *http.Request) {
	c := find(r.PathValue("no"))
	if c == nil {
		business.Answer(w, http.StatusNotFound, map[string]string{"error": "NO CAR"})
		return
	}
	business.Answer(w, http.StatusOK, map[string]any{"row": c.row()})
}

// hold keeps a car for somebody, in shape 1.
func hold(w http.ResponseWriter, r *http.Request) {
	c := find(r.PathValue("no"))
	switch {
	case c == nil:
		business.Answer(w, http.StatusNotFound, map[string]string{"error": "NO CAR"})
	case c.sold:
		business.Answer(w, http.StatusGone, map[string]string{"error": "SOLD"})
	default:
		business.Answer(w, http.StatusOK, map[string]string{"held": c.no})
	}
}

// wide is a car of shape 2: named fields, money in cents.
func (c car) wide() map[string]any {
	return map[string]any{"vin": c.no, "brand": c.maker, "model": c.model, "price": map[string]any{"cents": c.euros * 100, "currency": "EUR"}}
}

// vehicles is the list of shape 2; its cursor is the car to go on with.
func vehicles(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	all, _ := of(r.URL.Query().Get("brand"), 0, len(cars()))
	if start := r.URL.Query().Get("start"); start != "" {
		for len(all) > 0 && all[0].no != start {
			all = all[1:]
		}
	}
	list, next := []map[string]any{}, any(nil)
	for i, c := range all {
		if i == limit {
			next = c.no
			break
		}
		list = append(list, c.wide())
	}
	business.Answer(w, http.StatusOK, map[string]any{"vehicles": list, "next": next})
}

func vehicle(w http.ResponseWriter, r *http.Request) {
	c := find(r.PathValue("vin"))
	if c == nil {
		business.Answer(w, http.StatusNotFound, map[string]any{"problem": map[string]int{"code": 1404}})
		return
	}
	business.Answer(w, http.StatusOK, c.wide())
}

// reserve keeps a car for somebody, in shape 2, which has numbers for errors.
func reserve(w http.ResponseWriter, r *http.Request) {
	var in struct {
		VIN string `json:"vin"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in) // without a car there is none
	c := find(in.VIN)
	switch {
	case c == nil:
		business.Answer(w, http.StatusUnprocessableEntity, map[string]any{"problem": map[string]int{"code": 1404}})
	case c.sold:
		business.Answer(w, http.StatusUnprocessableEntity, map[string]any{"problem": map[string]int{"code": 1701}})
	default:
		business.Answer(w, http.StatusCreated, map[string]any{"reservation": map[string]string{"vin": c.no}})
	}
}

// history is what the garage knows of a car.
func history(w http.ResponseWriter, r *http.Request) {
	c := find(r.PathValue("no"))
	if c == nil {
		business.Answer(w, http.StatusNotFound, map[string]string{"error": "NO CAR"})
		return
	}
	business.Answer(w, http.StatusOK, map[string][]string{"work": append([]string{}, c.history...)})
}
