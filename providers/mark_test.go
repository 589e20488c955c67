package providers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// goldenParam was made apart from this code:
// printf 'oppo\0demo\0order-8812.0.3' | openssl dgst -sha256 -hmac s3cret -binary | head -c 12 | base64 | tr +/ -_
// A change of it would have reports refused on all that is under way.
const goldenParam = "order-8812.0.3/ONS1b-r6prGvcMbG"

func oppoMark() Mark {
	return Mark{
		Provider: "oppo", Secret: "s3cret", Callback: "https://herald.example.com/v1/callbacks/oppo",
		MaxAddress: 200, MaxParam: 100,
	}
}

const goldenID = "order-8812.0.3"

func TestMarkStaysTheSame(t *testing.T) {
	address, param := oppoMark().For("demo", goldenID)
	if address != "https://herald.example.com/v1/callbacks/oppo?app=demo" || param != goldenParam {
		t.Errorf("For() = %q, %q", address, param)
	}
	if delivery, ok := oppoMark().Check("demo", goldenParam); !ok || delivery != "order-8812.0.3" {
		t.Errorf("Check() = %q, %v", delivery, ok)
	}
}

func TestMarkIsGoodForOneThingOnly(t *testing.T) {
	mark := strings.TrimPrefix(goldenParam, "order-8812.0.3")
	tests := map[string]struct {
		change     func(*Mark)
		app, param string
	}{
		"no parameter":           {nil, "demo", ""},
		"no mark":                {nil, "demo", "order-8812.0.3"},
		"an empty mark":          {nil, "demo", "order-8812.0.3/"},
		"half a mark":            {nil, "demo", goldenParam[:len(goldenParam)-8]},
		"more than a mark":       {nil, "demo", goldenParam + "A"},
		"about another delivery": {nil, "demo", "order-8812.0.4" + mark},
		"about no delivery":      {nil, "demo", mark},
		"about another app":      {nil, "other", goldenParam},
		"of another provider":    {func(m *Mark) { m.Provider = "vivo" }, "demo", goldenParam},
		"under another secret":   {func(m *Mark) { m.Secret = "guess" }, "demo", goldenParam},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := oppoMark()
			if tt.change != nil {
				tt.change(&m)
			}
			if delivery, ok := m.Check(tt.app, tt.param); ok || delivery != "" {
				t.Errorf("Check() = %q, %v, want that it is not ours", delivery, ok)
			}
		})
	}
}

func TestMarkThatFindsNoRoomIsNotAskedFor(t *testing.T) {
	address, param := oppoMark().For("demo", goldenID)
	tests := map[string]struct {
		change func(*Mark)
		fits   bool
	}{
		"both just fit":           {func(m *Mark) { m.MaxAddress, m.MaxParam = len(address), len(param) }, true},
		"the address is too long": {func(m *Mark) { m.MaxAddress = len(address) - 1 }, false},
		"the id is too long":      {func(m *Mark) { m.MaxParam = len(param) - 1 }, false},
		"nobody wants callbacks":  {func(m *Mark) { m.Callback = "" }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := oppoMark()
			tt.change(&m)
			address, param := m.For("demo", goldenID)
			if (address != "") != tt.fits || (param != "") != tt.fits {
				t.Errorf("For() = %q, %q, want that it fits: %v", address, param, tt.fits)
			}
		})
	}
}

func TestNameOfAnAppIsEscapedInItsAddress(t *testing.T) {
	address, _ := oppoMark().For("a&app=b", goldenID)
	if want := "https://herald.example.com/v1/callbacks/oppo?app=a%26app%3Db"; address != want {
		t.Errorf("For() = %q, want %q", address, want)
	}
}

func TestReportsBecomeReceipts(t *testing.T) {
	m := oppoMark()
	_, chunk := m.For("demo", "order-8812.0")
	dead := &push.Error{Kind: push.ErrUnregistered, Code: "regid_invalid", Detail: "gone"}
	rs, err := m.Receipts("demo", []Report{
		{Param: goldenParam, MessageID: "M1", At: "1700000000000", Stage: push.Delivered, Tokens: []string{"t0"}},
		{Param: chunk, MessageID: "M2", Stage: push.Failed, Fault: dead, Tokens: []string{"t1", "t2"}},
		{Param: chunk, MessageID: "M3"},                   // means nothing to us
		{Param: "somebody's", Stage: push.Delivered},      // not our mark
		{Param: goldenParam + "x", Stage: push.Delivered}, // a forged one
	})
	if err != nil || len(rs) != 3 {
		t.Fatalf("Receipts() = %+v, %v, want three", rs, err)
	}
	if r := rs[0]; r.Delivery != goldenID || r.Notification != "order-8812" || r.Token != "" || r.Stage != push.Delivered || r.At.UnixMilli() != 1700000000000 {
		t.Errorf("of a delivery: %+v", r)
	}
	for i, token := range []string{"t1", "t2"} {
		if r := rs[1+i]; r.Delivery != "order-8812.0" || r.Token != token || r.Kind != "unregistered" || r.Code != "regid_invalid" || r.Source != push.VendorCallback {
			t.Errorf("of a chunk: %+v", r)
		}
	}
	if _, err := m.Receipts("demo", []Report{{Param: "x"}}); !errors.Is(err, push.ErrCredentials) {
		t.Errorf("without any mark: %v, want credentials", err)
	}
	if rs, err := m.Receipts("demo", nil); err != nil || len(rs) != 0 {
		t.Errorf("without a report: %v, %v", rs, err)
	}
}

func TestServicesClockIsBelievedUnlessItIsAhead(t *testing.T) {
	now := time.Unix(1_700_000_000, 0).UTC()
	for millis, want := range map[string]time.Time{
		"1699999999000": now.Add(-time.Second), "1700000001000": now, "": now, "0": now, "-5": now, "soon": now,
	} {
		if got := SaidAt(millis, now); !got.Equal(want) {
			t.Errorf("SaidAt(%q) = %v, want %v", millis, got, want)
		}
	}
}
