package brain

// Hearsay is what is said of roads before anything was seen of them, as the
// mean of an effect in logits: our own connection works while it stands, a text
// message arrives, a maker's road works on its own phones, and FCM hardly works in mainland China.
// A few hundred receipts outweigh it.
func Hearsay(r Row, provider, maker, country string) float32 {
	switch r.Family {
	case ByBias:
		switch {
		case provider == "live" && r.Online:
			return 2.5
		case provider == "live":
			return -3
		case provider == "sms", provider == "smpp":
			return 3
		default:
			return 1
		}
	case ByMaker:
		switch {
		case provider == "fcm" && country == "CN":
			return -2.5
		case !makersRoad(provider):
			return 0
		case provider == maker, provider == "huawei" && maker == "honor":
			return 0.7
		default:
			return -0.7
		}
	default:
		return 0
	}
}

// makersRoad reports whether a provider is a phone maker's own.
func makersRoad(provider string) bool {
	switch provider {
	case "huawei", "honor", "xiaomi", "oppo", "vivo", "meizu":
		return true
	default:
		return false
	}
}
