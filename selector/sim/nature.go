package sim

// nature is what a world is drawn from: effects in logits, shares of devices or
// of time, spells in seconds.
type nature struct {
	bias [Roads]float32 // of the roads
	// maker to device are the standard deviations of effects: per road those of
	// maker × country, country × carrier, maker × system, app, and the three of
	// maker, country and carrier together; and each device's own.
	maker, carrier, system, app, trio, device float64

	atHome  float32 // what a maker's road has more on its own phones
	blocked float32 // what FCM has less in the first country
	google  float64 // part of the devices there that have FCM
	guests  float64 // part of the devices that have another maker's road

	brokenShare, brokenSpell float64 // of pairs of device and road
	broken                   float32 // what that costs
	offShare, offSpell       float64 // without network
	killed                   [makers]float64
	killSpell                float64
	blind                    float64 // until a dead connection is noticed

	killsHome, killsGuest, killsFCM float32 // what a killed app costs a road

	drift float64 // of a road in a country, in a day
	busy  float64 // of the logarithm of how many messages a device gets
}

// reference is the world whose figures docs/selector.md compares with. It is
// known of that world: how many devices, days and messages, six roads, the
// families of effects, a device's own of one logit, a tenth of the pairs broken
// for eight days, four minutes of a connection believed alive, coverage between
// 0.70 and 0.99, nine outages. The rest is inferred from what simple policies
// score there, among it that
//
//   - the live connection can be chosen while it is not believed to stand: else
//     one fixed order and success rates over all devices would score far more
//   - the system often kills and restarts apps: else seeing what is hidden would
//     be worth less than it is
//   - some devices get many more messages than others: else learning from one
//     device alone would score less
func reference() nature {
	return nature{
		bias:  [Roads]float32{FCM: 1.8, Xiaomi: 0.35, Huawei: 0.35, Oppo: 0.35, Vivo: 0.35, Live: 3.5},
		maker: 0.9, carrier: 0.5, system: 0.39, app: 0.32, trio: 0.43, device: 1,
		atHome: 1.9, blocked: -3, google: 0.25, guests: 0.05,
		brokenShare: 0.1, brokenSpell: 8 * day, broken: -4,
		offShare: 0.13, offSpell: 2 * 3600,
		killed:    [makers]float64{0.46, 0.5, 0.46, 0.46, 0.41, 0.27, 0.32},
		killSpell: 4000, blind: 240,
		killsHome: -0.6, killsGuest: -3, killsFCM: -1,
		drift: 0.15, busy: 1.4,
	}
}

// own reports whether a road is the one of a device's maker.
func (n *nature) own(road int, maker int) bool {
	return road == Xiaomi+maker && road <= Vivo || maker == honor && road == Huawei
}

// kills is what a killed app costs a road, in logits.
func (n *nature) kills(road int, maker uint8) float32 {
	switch {
	case road == FCM:
		return n.killsFCM
	case n.own(road, int(maker)):
		return n.killsHome
	default:
		return n.killsGuest
	}
}
