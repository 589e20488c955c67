package brain

// Account is a belief taken apart: what each effect adds, in logits.
type Account struct {
	Shared   [families]float32 // by family
	Own      float32           // the device's own difference
	Coverage float32           // part of what arrives that a receipt tells of
	Health   float32
	Sick     *Sickness // why Health is below 1; nil if it is not
}

// Sickness says where a road is sick, and how it shows.
type Sickness struct {
	Everywhere              bool
	Country, Maker, Carrier bool // else: the features of the device that name the place
	Refuses                 bool // attempts are refused; else receipts stay out
	Since                   float64
	Came, Due               float32 // receipts since then
}

// Account takes the belief about a road to a device apart.
func (b *Brain) Account(cell int32, e *Evidence, provider int, online bool, now float64) Account {
	c := &b.kinds[cell]
	a := Account{Coverage: b.coverage.of(provider, c.Country, online), Health: b.health.of(c, provider)}
	for k, row := range c.rows[b2i(online)] {
		a.Shared[k] = b.effects.now[int(row)*b.providers+provider].m
	}
	if i := e.slot(provider); i >= 0 {
		a.Own = e.get(i).faded(e.fade(now, b.cfg.HalfLife), b.cfg.Device).m
	}
	if s := b.health.why(c, provider); s != nil {
		a.Sick = &Sickness{
			Everywhere: s.place.level == everybody,
			Country:    s.place.level == inCountry, Maker: s.place.level == ofMaker, Carrier: s.place.level == atCarrier,
			Refuses: s.state == refusing, Since: float64(s.since), Came: s.seen, Due: s.due,
		}
	}
	return a
}

// Arrives is P(delivered) of a healthy road to a device.
func (b *Brain) Arrives(cell int32, e *Evidence, provider int, online bool, now float64) float32 {
	return b.curves.chance(b.belief(&b.kinds[cell], e, provider, online, now).m)
}

// Sick is how many providers are sick somewhere, and which, a bit each.
func (b *Brain) Sick() uint32 { return b.health.sick }
