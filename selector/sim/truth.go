package sim

import "math"

// Truth is what really would come of a message by each road.
type Truth struct {
	// OnTime is P(arrives within ttl), knowing everything. Fair is the same
	// knowing every parameter, but of the moment only what a gateway can see.
	OnTime, Fair [Roads]float64
	arrives      [Roads]float64 // at all, within the horizon of receipts or not
	fate         [Roads]*Outage // the outage that it would meet; nil is none
	back         float64        // seconds until the device is back on the network
	online       bool           // the live connection really stands
}

// look works out the truth about a message.
func (w *World) look(n *Notice, d *device, t *Truth) {
	t.back = 0
	if d.offline {
		t.back = float64(d.offlineTo) - n.At
	}
	t.online, _ = w.connected(d, n.At)
	for r := range Roads {
		t.OnTime[r], t.Fair[r], t.arrives[r], t.fate[r] = 0, 0, 0, nil
		if n.Roads&(1<<r) == 0 {
			continue
		}
		logit := w.base[r][d.maker][d.country][d.carrier][d.os][d.app] +
			w.drift[r][d.country] + d.effect[r] + w.romUpdate(d, r, n.At)
		if d.broken>>r&1 == 1 {
			logit += w.nature.broken
		}
		t.fate[r] = w.outage(n, d, r)
		w.fates(n, d, r, float64(logit), t)
	}
}

// fates turns logits into what arrives.
func (w *World) fates(n *Notice, d *device, r int, logit float64, t *Truth) {
	delay := w.delay[r]
	survive := 1.0
	if o := t.fate[r]; o != nil {
		survive = o.survives()
		delay.median *= o.slows()
	}
	nat := &w.nature
	kills := float64(nat.kills(r, d.maker))
	off, killed := nat.seen(d.maker, n.Online)
	if r == Live {
		p := sigmoid(logit) * survive * delay.by(n.TTL)
		if t.online {
			t.arrives[r] = sigmoid(logit) * survive
			t.OnTime[r] = p
		}
		if n.Online {
			t.Fair[r] = p * (1 - off) * (1 - killed)
		}
		return
	}
	hidden := 0.0
	if d.killed {
		hidden = kills
	}
	t.arrives[r] = sigmoid(logit+hidden) * survive
	t.OnTime[r] = t.arrives[r] * delay.by(n.TTL-t.back)
	p := killed*sigmoid(logit+kills) + (1-killed)*sigmoid(logit)
	t.Fair[r] = p * survive * (1 - off*math.Exp(-n.TTL/nat.offSpell)) * delay.by(n.TTL)
}

// seen is how probably a device is off the network, and its app killed, to one
// who sees only whether its connection is believed to stand.
func (n *nature) seen(maker uint8, online bool) (off, killed float64) {
	k, o := n.killed[maker], n.offShare
	if !online {
		gone := k + o - k*o
		return o / gone, k / gone
	}
	// Of the time that it is believed to stand it did fall a moment ago.
	offs, kills := n.blind*o/(1-o)/n.offSpell, n.blind*k/(1-k)/n.killSpell
	return offs / (1 + offs + kills), kills / (1 + offs + kills)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// best is the road of the highest value.
func best(values *[Roads]float64, roads uint32) int {
	at := -1
	for r := range Roads {
		if roads&(1<<r) != 0 && (at < 0 || values[r] > values[at]) {
			at = r
		}
	}
	return at
}
