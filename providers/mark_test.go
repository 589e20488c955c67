package providers

import (
	"strings"
	"testing"

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

func to(app string) *push.Delivery {
	return &push.Delivery{ID: "order-8812.0.3", Notification: &push.Notification{App: app}}
}

func TestMarkStaysTheSame(t *testing.T) {
	address, param := oppoMark().For(to("demo"))
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
	address, param := oppoMark().For(to("demo"))
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
			address, param := m.For(to("demo"))
			if (address != "") != tt.fits || (param != "") != tt.fits {
				t.Errorf("For() = %q, %q, want that it fits: %v", address, param, tt.fits)
			}
		})
	}
}

func TestNameOfAnAppIsEscapedInItsAddress(t *testing.T) {
	address, _ := oppoMark().For(to("a&app=b"))
	if want := "https://herald.example.com/v1/callbacks/oppo?app=a%26app%3Db"; address != want {
		t.Errorf("For() = %q, want %q", address, want)
	}
}
