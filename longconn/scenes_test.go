package longconn

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald/longconn/mqtt"
)

// scenes are all conversations, by what they show.
var scenes = join(connectScenes, sessionScenes, deliveryScenes, publicationScenes, subscriptionScenes, authScenes)

func join(tables ...map[string]scene) map[string]scene {
	all := map[string]scene{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}

// refused sends a CONNECT that is not let in, with what must be heard of it.
func (s *script) refused(packet, five, three string, cause Cause) {
	s.t.Helper()
	s.bench = newBench()
	s.wire(packet)
	if want := s.either(five, three); want != "" {
		s.hear(want)
	} else {
		s.hear()
	}
	s.ends(cause)
	s.wire("c0 00") // nothing is processed any more
	s.hear()
}

var connectScenes = map[string]scene{
	"CONNECT opens a connection, once": {
		"3.1.0-1 3.1.0-2 3.2.0-1 3.2.0-2 3.1.4-5 3.2.2-1 3.2.2-8 3.14.0-1 3.12.4-1 2.2.2-1",
		"3.1.0-1 3.1.0-2 3.2.0-1 3.1.4-4 3.12.4-1",
		func(s *script) {
			s.wire("c0 00")
			s.hear()
			s.ends(Malformed)
			s.bench = newBench()
			s.say(append(s.hello(), 0xC0, 0))
			s.hear("CONNACK", "PINGRESP")
			s.say(s.hello())
			s.hear(slices.DeleteFunc([]string{s.either("DISCONNECT 82", "")}, func(x string) bool { return x == "" })...)
			s.ends(Malformed)
		},
	},
	"CONNECT that breaks the rules ends the connection": {
		"3.1.2-1 3.1.2-2 3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-13 3.1.2-14 3.1.2-15 3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.3-1 3.1.3-3 3.1.3-4 3.1.3-9 3.1.3-10 3.1.4-1 3.1.4-6 3.2.2-7 1.5.4-1 1.5.4-2 1.5.5-1 1.5.7-1",
		"3.1.2-1 3.1.2-2 3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-13 3.1.2-14 3.1.2-15 3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.2-22 3.1.3-1 3.1.3-3 3.1.3-4 3.1.3-10 3.1.3-11 3.1.4-1 3.1.4-5 3.2.2-5 3.2.2-6 1.5.3-1 1.5.3-2",
		func(s *script) {
			v := s.either("05", "04")
			p := s.either("00", "") // properties: none
			n := func(five, three int) string {
				return fmt.Sprintf("%02x", map[bool]int{true: five, false: three}[s.five()])
			}
			bad := func(packet string) { s.refused(packet, "CONNACK 81", "", Malformed) }
			s.refused("10 0c 0004 'HTTP' "+v+" 02 003c 0000", "CONNACK 84", "CONNACK 01", Malformed)
			s.refused("10 0e 0006 'MQIsdp' 03 02 003c 0000", "CONNACK 01", "CONNACK 01", Malformed)
			s.refused("10 0c 0004 'MQTT' 06 02 003c 0000", "CONNACK 84", "CONNACK 84", Malformed)
			bad("10 " + n(13, 12) + " 0004 'MQTT' " + v + " 03 003c " + p + " 0000")               // reserved flag
			bad("10 " + n(13, 12) + " 0004 'MQTT' " + v + " 06 003c " + p + " 0000")               // will flag without a will
			bad("10 " + n(17, 16) + " 0004 'MQTT' " + v + " 02 003c " + p + " 0000 0000 0000")     // a will without its flag
			bad("10 " + n(13, 12) + " 0004 'MQTT' " + v + " 0a 003c " + p + " 0000")               // will QoS without will
			bad("10 " + n(18, 17) + " 0004 'MQTT' " + v + " 1e 003c " + p + " 0000 0001 'w' 0000") // will QoS 3
			bad("10 " + n(13, 12) + " 0004 'MQTT' " + v + " 22 003c " + p + " 0000")               // will retain without will
			bad("10 " + n(16, 15) + " 0004 'MQTT' " + v + " 02 003c " + p + " 0000 0001 'u'")      // user name without its flag
			bad("10 " + n(13, 12) + " 0004 'MQTT' " + v + " 82 003c " + p + " 0000")               // flag without user name
			bad("10 " + n(19, 18) + " 0004 'MQTT' " + v + " 82 003c " + p + " 0000 0001 'u' 0001 'p'")
			bad("10 " + n(16, 15) + " 0004 'MQTT' " + v + " c2 003c " + p + " 0000 0001 'u'") // flag without password
			bad("10 " + n(11, 10) + " 0004 'MQTT' " + v + " 02 003c " + p)                    // no client id
			bad("10 " + n(14, 13) + " 0004 'MQTT' " + v + " 02 003c " + p + " 0001 ff")       // client id is not UTF-8
			bad("10 " + n(16, 15) + " 0004 'MQTT' " + v + " 02 003c " + p + " 0003 eda080")   // a surrogate
			bad("10 " + n(14, 13) + " 0004 'MQTT' " + v + " 02 003c " + p + " 0001 00")       // U+0000
			bad("10 " + n(19, 17) + " 0004 'MQTT' " + v + " 06 003c " + p + " 0000 " + p + " 0001 ff 0000")
			bad("10 " + n(16, 15) + " 0004 'MQTT' " + v + " 82 003c " + p + " 0000 0001 ff") // user name is not UTF-8
			if s.five() {
				bad("10 0e 0004 'MQTT' 05 02 003c 8000 0000")                   // length longer than needed
				bad("10 14 0004 'MQTT' 05 02 003c 07 26 0001 ff 0001 'b' 0000") // half of a pair is not UTF-8
				bad("10 14 0004 'MQTT' 05 02 003c 07 26 0001 'a' 0001 ff 0000") // the other
			} else {
				bad("10 0f 0004 'MQTT' 04 42 003c 0000 0001 'p'") // password without user name
			}
		},
	},
	"the client id is the session's": {
		"3.1.3-2 3.1.3-5 3.1.3-6 3.1.3-7 3.1.3-8 3.2.2-16 1.5.4-3",
		"3.1.3-2 3.1.3-5 3.1.3-6 3.1.3-7 3.1.3-8 3.1.3-9 1.5.3-3",
		func(s *script) {
			for _, id := range []string{"a", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ", "\uFEFFd1"} {
				s.bench = newBench()
				s.connect(func(c *mqtt.Connect) { c.ClientID = id })
				if s.log[0] != "connect "+id {
					s.t.Errorf("log %q", s.log)
				}
			}
			s.bench = newBench()
			s.welcome.AssignedClientID = "assigned"
			s.connect(func(c *mqtt.Connect) { c.ClientID = "" })
			if s.five() && s.connack.AssignedClientID != "assigned" {
				s.t.Errorf("assigned %q", s.connack.AssignedClientID)
			}
			s.bench = newBench()
			s.refusal = mqtt.BadClientID
			s.say(s.hello(func(c *mqtt.Connect) {
				if !s.five() {
					c.ClientID, c.Clean = "", false
				}
			}))
			s.hear(s.either("CONNACK 85", "CONNACK 02"))
			s.ends(Refused)
		},
	},
	"a refusal ends the connection": {
		"3.1.4-2 3.2.2-6 4.13.2-1", "3.2.2-4",
		func(s *script) {
			s.refusal = mqtt.NotAuthorized
			s.left = &parked{expiry: 10}
			s.say(append(s.hello(kept), 0xC0, 0))
			s.hear(s.either("CONNACK 87", "CONNACK 05"))
			s.ends(Refused)
		},
	},
	"a client that is silent is disconnected": {
		"3.1.2-24 3.2.2-22", "3.1.2-24",
		func(s *script) {
			s.connect(func(c *mqtt.Connect) { c.KeepAlive = 10 })
			if s.connack.ServerKeepAlive != 0 {
				s.t.Errorf("server keep alive %d", s.connack.ServerKeepAlive)
			}
			s.after(10 * time.Second)
			s.wire("c0 00")
			s.hear("PINGRESP")
			if want := s.now.Add(15 * time.Second); !s.deadline().Equal(want) {
				s.t.Errorf("deadline %s, want %s", s.deadline(), want)
			}
			s.after(15 * time.Second)
			s.expire(s.now)
			s.listen()
			s.heard = nil
			s.ends(Silent)
		},
	},
	"what the client cannot take is not sent": {
		"3.1.2-31 3.1.2-32 3.2.2-19 3.2.2-20 3.14.2-3 3.14.2-4", "",
		func(s *script) {
			s.refusal = mqtt.ServerBusy
			s.say(s.hello())
			s.hear("CONNACK 89")
			if len(s.connack.User) != 1 || s.connack.User[0].Name != RetryAfter {
				s.t.Errorf("no hint when to come again: %+v", s.connack)
			}
			s.bench = newBench()
			s.refusal = mqtt.ServerBusy
			s.say(s.hello(func(c *mqtt.Connect) { c.Properties.MaximumPacketSize = 40 }))
			s.hear("CONNACK 89")
			if s.connack.User != nil || s.connack.ReasonString != "" || s.connack.Has(mqtt.PropResponseInfo) {
				s.t.Errorf("%+v", s.connack)
			}
			s.bench = newBench()
			s.connect(func(c *mqtt.Connect) { c.Properties.MaximumPacketSize = 60 })
			s.close(Moved)
			s.listen()
			s.hear("DISCONNECT 9c")
			if s.bye.User != nil || s.bye.ReasonString != "" {
				s.t.Errorf("%+v", s.bye)
			}
		},
	},
	"DISCONNECT ends it": {
		"3.14.1-1 3.14.2-1 3.14.2-2 3.14.4-1 3.14.4-2 4.13.1-1", "3.14.1-1 4.8.0-1 4.8.0-2",
		func(s *script) {
			s.fails("81", []byte{0xE1, 0})
			s.fails("81", []byte{0xC0, 1, 0})
			s.fails("82", []byte{0xD0, 0})
			s.fails("95", []byte{0x30, 0xFF, 0xFF, 0x7F})
			s.say(append(s.hello(), 0xC0, 0)) // nothing follows
			s.hear()
			s.bench = newBench()
			s.connect()
			s.wire("e0 00")
			s.hear()
			s.ends(Disconnected)
			if s.five() {
				s.fails("82", unhex(s.t, "e0 07 00 05 11 00000001")) // an expiry where there was none
			}
		},
	},
	"reserved flags are checked": {
		"2.1.3-1 3.6.1-1 3.8.1-1 3.10.1-1 3.15.1-1", "2.2.2-1 2.2.2-2 3.6.1-1 3.8.1-1 3.10.1-1",
		func(s *script) {
			for _, first := range []byte{0x60, 0x63, 0x80, 0x8A, 0xA0, 0xA3, 0xC1, 0x41, 0x51, 0x71, 0xF1} {
				s.fails("81", []byte{first, 2, 0, 1})
			}
		},
	},
}

var sessionScenes = map[string]scene{
	"a session goes on, or not": {
		"3.1.2-4 3.1.2-5 3.1.2-6 3.1.4-4 3.2.2-2 3.2.2-3 4.4.0-1 3.3.1-1 3.3.1-3 4.6.0-1",
		"3.1.2-4 3.1.2-5 3.1.2-6 3.1.4-3 3.2.2-1 3.2.2-2 3.2.2-3 4.4.0-1 3.3.1-1 3.3.1-3 4.6.0-1",
		func(s *script) {
			s.connect(kept) // no session yet
			s.tellAll("a", "b", "c")
			s.hear("PUBLISH inbox a q1 id1", "PUBLISH inbox b q1 id2", "PUBLISH inbox c q1 id3")
			s.puback(mqtt.PUBACK, 2, 0)
			s.again()
			s.say(s.hello(kept))
			s.hear("CONNACK present", "PUBLISH inbox a q1 id1 dup", "PUBLISH inbox c q1 id3 dup")
			s.wire("c0 00") // not again on this connection
			s.hear("PINGRESP")
			s.again()
			s.say(s.hello()) // clean
			s.hear("CONNACK")
			s.again()
			s.say(s.hello(kept))
			s.hear("CONNACK")
		},
	},
	"a will is published when the client vanishes": {
		"3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-12 3.1.2-16 3.14.4-3", "3.1.2-8 3.1.2-10 3.1.2-12 3.1.2-16 3.14.4-3",
		func(s *script) {
			will := func(c *mqtt.Connect) { c.Will = &mqtt.Will{Topic: "receipts", Payload: []byte("gone"), QoS: 1} }
			s.connect(will)
			s.happened()
			s.close(Lost)
			s.listen()
			s.happened("published receipts gone", "closed lost")
			s.bench = newBench()
			s.connect() // without
			s.close(Lost)
			s.listen()
			s.happened("closed lost")
			s.bench = newBench()
			s.connect(will)
			s.wire("e0 00")
			s.happened("closed disconnected")
			if s.five() {
				s.bench = newBench()
				s.connect(will)
				s.wire("e0 01 04") // with will
				s.happened("published receipts gone", "closed disconnected")
			}
		},
	},
	"a retained will is refused": {
		"3.2.2-13", "",
		func(s *script) {
			s.say(s.hello(func(c *mqtt.Connect) { c.Will = &mqtt.Will{Topic: "receipts", Retain: true} }))
			s.hear("CONNACK 9a")
			s.ends(Refused)
		},
	},
	"a will waits for its delay": {
		"3.1.2-26", "",
		func(s *script) {
			late := func(c *mqtt.Connect) {
				kept(c)
				c.Will = &mqtt.Will{Topic: "receipts", Payload: []byte("gone")}
				c.Will.Properties.WillDelay = 50
			}
			s.connect(late)
			s.again()
			s.happened("closed lost")
			left := s.left
			s.say(s.hello(kept))
			s.hear("CONNACK present")
			left.publishWill()
			s.happened() // it went on in time
			s.bench = newBench()
			s.connect(late)
			s.again()
			left = s.left
			s.say(s.hello()) // a new session: the old one has ended
			s.hear("CONNACK")
			left.publishWill()
			s.happened("closed lost", "will receipts gone")
		},
	},
}

var deliveryScenes = map[string]scene{
	"QoS 1 is sent once, until it is acknowledged": {
		"2.2.1-4 4.3.2-1 4.3.2-2 4.3.2-3 4.4.0-2 4.6.0-5 4.6.0-6 3.3.2-3 3.8.4-8", "2.3.1-4 4.3.2-1 4.6.0-5 4.6.0-6 3.3.2-3 3.3.1-9 3.8.4-6",
		func(s *script) {
			s.connect(kept)
			s.tellAll("a", "b")
			s.hear("PUBLISH inbox a q1 id1", "PUBLISH inbox b q1 id2")
			s.puback(mqtt.PUBACK, 1, 0)
			s.happened("acked a")
			s.tellAll("c")
			s.hear("PUBLISH inbox c q1 id3")
			if s.five() {
				s.puback(mqtt.PUBACK, 3, mqtt.QuotaExceeded)
			} else {
				s.puback(mqtt.PUBACK, 3, 0)
			}
			s.log = nil
			s.sess.next = 65535
			s.tellAll("d", "e", "f")
			s.hear("PUBLISH inbox d q1 id65535", "PUBLISH inbox e q1 id1", "PUBLISH inbox f q1 id3") // 2 is in use
			s.again()
			s.say(s.hello(kept))
			s.hear("CONNACK present", "PUBLISH inbox b q1 id2 dup", "PUBLISH inbox d q1 id65535 dup",
				"PUBLISH inbox e q1 id1 dup", "PUBLISH inbox f q1 id3 dup")
		},
	},
	"QoS 2 is sent in two steps": {
		"4.3.3-1 4.3.3-2 4.3.3-3 4.3.3-4 4.3.3-5 4.3.3-6 4.6.0-4 3.6.2-1", "4.3.3-1 4.6.0-4",
		func(s *script) {
			s.connect(kept)
			s.subscribe(mqtt.Filter{Topic: "inbox", QoS: 2})
			s.hear(s.either("SUBACK 00090002", "SUBACK 000902"))
			s.tellAll("a", "b", "c")
			s.hear("PUBLISH inbox a q2 id1", "PUBLISH inbox b q2 id2", "PUBLISH inbox c q2 id3")
			s.puback(mqtt.PUBREC, 2, 0)
			s.puback(mqtt.PUBREC, 1, 0)
			s.hear("PUBREL 2", "PUBREL 1")
			s.happened("acked b", "acked a")
			s.again()
			s.say(s.hello(kept))
			s.hear("CONNACK present", "PUBREL 1", "PUBREL 2", "PUBLISH inbox c q2 id3 dup")
			s.puback(mqtt.PUBCOMP, 1, 0)
			s.puback(mqtt.PUBCOMP, 2, 0)
			s.puback(mqtt.PUBREC, 3, 0)
			s.hear("PUBREL 3")
			s.puback(mqtt.PUBREC, 3, 0) // repeated: answered, and no second proof
			s.hear("PUBREL 3")
			s.puback(mqtt.PUBCOMP, 3, 0)
			s.happened("closed lost", "acked c")
			if s.five() {
				s.tellAll("d")
				s.hear("PUBLISH inbox d q2 id4")
				s.puback(mqtt.PUBREC, 4, mqtt.QuotaExceeded) // refused: over
				s.hear()
				s.again()
				s.say(s.hello(kept))
				s.hear("CONNACK present")
				s.puback(mqtt.PUBREC, 77, 0)
				s.hear("PUBREL 77 92")
			}
		},
	},
	"QoS 0 is sent once, without identifier": {
		"2.2.1-2 3.3.1-2 4.3.1-1", "2.3.1-5 3.3.1-2 4.3.1-1",
		func(s *script) {
			s.connect(kept)
			s.tell(Message{ID: "t", Payload: []byte("typing"), Lossy: true})
			s.hear("PUBLISH inbox typing q0")
			s.again()
			s.say(s.hello(kept))
			s.hear("CONNACK present")
			s.heard = nil
			s.fails("81", unhex(s.t, s.either("38 04 0001 'a' 00", "38 03 0001 'a'"))) // DUP with QoS 0
		},
	},
	"the window is the client's": {
		"3.3.4-9 3.3.4-10 4.9.0-1 4.9.0-2 4.9.0-3", "",
		func(s *script) {
			two := func(c *mqtt.Connect) { kept(c); c.Properties.ReceiveMaximum = 2 }
			s.connect(two)
			s.tellAll("a", "b", "c", "d")
			s.hear("PUBLISH inbox a q1 id1", "PUBLISH inbox b q1 id2")
			s.wire("c0 00")
			s.subscribe(mqtt.Filter{Topic: "inbox", QoS: 1})
			s.hear("PINGRESP", "SUBACK 00090001")
			s.puback(mqtt.PUBACK, 1, 0)
			s.hear("PUBLISH inbox c q1 id3")
			s.again()
			s.say(s.hello(func(c *mqtt.Connect) { kept(c); c.Properties.ReceiveMaximum = 1 }))
			s.hear("CONNACK present", "PUBLISH inbox b q1 id2 dup")
			s.puback(mqtt.PUBACK, 2, 0)
			s.hear("PUBLISH inbox c q1 id3 dup")
		},
	},
	"packets fit the client": {
		"3.1.2-27 3.1.2-28", "",
		func(s *script) {
			s.connect(kept)
			s.tell(Message{ID: "large", Payload: make([]byte, 100)})
			s.tell(Message{ID: "small", Payload: []byte("s")})
			s.heard = nil
			s.again()
			s.say(s.hello(func(c *mqtt.Connect) { kept(c); c.Properties.MaximumPacketSize = 100 }))
			s.hear("CONNACK present", "PUBLISH inbox s q1 id2 dup")
			s.reports = nil
			s.tell(Message{ID: "larger", Payload: make([]byte, 200)})
			s.hear()
			if fmt.Sprint(s.reports) != fmt.Sprint([]error{ErrTooLarge}) {
				s.t.Errorf("reports %q", s.reports)
			}
		},
	},
	"topics are numbered for those who like": {
		"3.1.2-29 3.1.2-30 3.3.2-7 3.3.2-11", "",
		func(s *script) {
			s.connect()
			s.tellAll("a")
			s.hear("PUBLISH inbox a q1 id1")
			if s.last.Properties.TopicAlias != 0 {
				s.t.Errorf("alias %d for a client that wants none", s.last.Properties.TopicAlias)
			}
			s.bench = newBench()
			one := func(c *mqtt.Connect) { kept(c); c.Properties.TopicAliasMaximum = 1 }
			s.connect(one)
			s.tellAll("a", "b")
			s.tell(Message{ID: "c", Payload: []byte("c"), Topic: "other"})
			s.hear("PUBLISH inbox a q1 id1", "PUBLISH  b q1 id2", "PUBLISH other c q1 id3")
			if s.last.Properties.TopicAlias != 0 {
				s.t.Errorf("alias %d above the maximum", s.last.Properties.TopicAlias)
			}
			s.again()
			s.say(s.hello(one)) // the number means nothing any more
			s.hear("CONNACK present", "PUBLISH inbox a q1 id1 dup", "PUBLISH  b q1 id2 dup", "PUBLISH other c q1 id3 dup")
		},
	},
	"properties come with the message": {
		"3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20 3.3.4-3", "",
		func(s *script) {
			s.connect()
			s.say(mqtt.AppendSubscribe(nil, s.version, mqtt.Subscribe{
				ID: 9, Filters: []mqtt.Filter{{Topic: "inbox", QoS: 1}}, Properties: mqtt.Properties{SubscriptionID: 300},
			}))
			s.heard = nil
			s.tell(Message{ID: "a", Payload: []byte("a"), Properties: &mqtt.Properties{
				PayloadFormat: 1, ContentType: "text/plain", ResponseTopic: "replies", Correlation: []byte{1, 0},
				User: []mqtt.Pair{{Name: "z", Value: "1"}, {Name: "a", Value: "2"}, {Name: "z", Value: "3"}},
			}})
			s.hear("PUBLISH inbox a q1 id1")
			p := s.last.Properties
			if p.PayloadFormat != 1 || p.ContentType != "text/plain" || p.ResponseTopic != "replies" || string(p.Correlation) != "\x01\x00" ||
				fmt.Sprint(p.User) != "[{z 1} {a 2} {z 3}]" || p.SubscriptionID != 300 {
				s.t.Errorf("%+v", p)
			}
		},
	},
	"what has expired is not sent, what was sent does not expire": {
		"3.3.2-5 3.3.2-6 4.3.3-7 4.3.3-13", "",
		func(s *script) {
			s.window = 1
			s.connect(func(c *mqtt.Connect) { kept(c); c.Properties.ReceiveMaximum = 1 })
			s.subscribe(mqtt.Filter{Topic: "inbox", QoS: 2})
			s.heard = nil
			soon := s.now.Add(5 * time.Second)
			s.tell(Message{ID: "a", Payload: []byte("a"), Expires: soon})
			s.tell(Message{ID: "b", Payload: []byte("b"), Expires: soon})
			s.tell(Message{ID: "c", Payload: []byte("c"), Expires: s.now.Add(time.Minute)})
			s.hear("PUBLISH inbox a q2 id1")
			s.after(10 * time.Second)
			s.again()
			s.say(s.hello(func(c *mqtt.Connect) { kept(c); c.Properties.ReceiveMaximum = 1 }))
			s.hear("CONNACK present", "PUBLISH inbox a q2 id1 dup")
			s.puback(mqtt.PUBREC, 1, 0)
			s.hear("PUBREL 1")
			s.tell(Message{ID: "b", Payload: []byte("b"), Expires: soon})
			s.tell(Message{ID: "c", Payload: []byte("c"), Expires: soon.Add(55 * time.Second)})
			s.puback(mqtt.PUBCOMP, 1, 0)
			s.hear("PUBLISH inbox c q2 id2")
			if got := s.last.Properties.MessageExpiry; got != 50 {
				s.t.Errorf("expiry %d s, want 50", got)
			}
		},
	},
}

var publicationScenes = map[string]scene{
	"publications are answered in order": {
		"2.2.1-5 3.3.4-1 4.3.2-4 4.3.2-5 4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12 4.6.0-2 4.6.0-3 3.4.2-1 3.5.2-1 3.7.2-1",
		"2.3.1-6 3.3.4-1 3.3.5-2 4.3.2-2 4.3.3-2 4.6.0-2 4.6.0-3",
		func(s *script) {
			s.connect()
			s.slow = true
			for i, qos := range []byte{1, 2, 1, 2} {
				s.publish("receipts", fmt.Sprint(i), qos, uint16(i+1))
			}
			s.publish("receipts", "0", 0, 0)
			s.hear()
			for _, id := range []uint16{4, 2, 3, 1} { // answered in another order
				s.ack(id, 0)
			}
			s.listen()
			s.hear("PUBACK 1", "PUBREC 2", "PUBACK 3", "PUBREC 4")
			s.happened("published receipts 0", "published receipts 1", "published receipts 2", "published receipts 3", "published receipts 0")
			s.slow = false
			s.publish("receipts", "again", 2, 2) // before PUBREL: known
			s.hear("PUBREC 2")
			s.happened()
			s.puback(mqtt.PUBREL, 2, 0)
			s.hear("PUBCOMP 2")
			s.puback(mqtt.PUBREL, 2, 0)
			s.hear(s.either("PUBCOMP 2 92", "PUBCOMP 2"))
			s.publish("receipts", "new", 2, 2) // after: another
			s.publish("receipts", "new", 1, 1)
			s.hear("PUBREC 2", "PUBACK 1")
			s.happened("published receipts new", "published receipts new")
			s.answer = mqtt.NotAuthorized
			s.publish("elsewhere", "x", 1, 7)
			s.hear(s.either("PUBACK 7 87", "PUBACK 7"))
		},
	},
	"a refused QoS 2 publication is forgotten": {
		"4.3.3-9", "",
		func(s *script) {
			s.connect()
			s.answer = mqtt.NotAuthorized
			s.publish("elsewhere", "x", 2, 7)
			s.hear("PUBREC 7 87")
			s.answer = 0
			s.publish("receipts", "y", 2, 7)
			s.hear("PUBREC 7")
			s.happened("published elsewhere x", "published receipts y")
		},
	},
	"a QoS 2 publication is known on the next connection": {
		"4.3.3-10", "4.3.3-2",
		func(s *script) {
			s.connect(kept)
			s.publish("receipts", "x", 2, 7)
			s.hear("PUBREC 7")
			s.again()
			s.say(s.hello(kept))
			s.hear("CONNACK present")
			s.publish("receipts", "x", 2, 7)
			s.hear("PUBREC 7")
			s.happened("published receipts x", "closed lost")
		},
	},
	"topics are names": {
		"3.3.1-4 3.3.2-1 3.3.2-2 3.3.4-6 4.7.0-1 4.7.3-1 4.7.3-2 4.7.3-3 4.7.3-4 3.3.2-13 3.3.2-14 3.3.2-19",
		"3.3.1-4 3.3.2-1 3.3.2-2 4.7.1-1 4.7.3-1 4.7.3-2 4.7.3-3 4.7.3-4",
		func(s *script) {
			p := s.either("00", "")
			n := s.either("04", "03")
			s.fails("81", unhex(s.t, "36 06 0001 'a' 0001 00"))
			s.fails("81", unhex(s.t, "30 "+n+" 0001 ff "+p))
			s.fails("81", unhex(s.t, "30 "+n+" 0001 00 "+p))
			s.fails("90", unhex(s.t, "30 "+n+" 0001 '#' "+p))
			s.fails("90", unhex(s.t, "30 "+n+" 0001 '+' "+p))
			s.fails("90", unhex(s.t, "30 "+s.either("03", "02")+" 0000 "+p))
			if s.five() {
				s.fails("81", unhex(s.t, "30 08 0001 'a' 04 08 0001 ff"))  // response topic
				s.fails("82", unhex(s.t, "30 08 0001 'a' 04 08 0001 '#'")) // with a wildcard
				s.fails("81", unhex(s.t, "30 08 0001 'a' 04 03 0001 ff"))  // content type
				s.fails("82", unhex(s.t, "30 06 0001 'a' 02 0b 01"))       // subscription identifier
			}
			s.bench = newBench()
			s.srv.cfg.MaxPacket = 1 << 20
			s.connect()
			long := strings.Repeat("x", 65_535)
			s.publish(long, "", 0, 0)
			s.publish("A\u030A", "", 0, 0)
			s.publish("\u00C5", "", 0, 0)
			s.happened("published "+long+" ", "published A\u030A ", "published \u00C5 ")
		},
	},
	"every alias up to the maximum is taken": {
		"3.3.2-12 3.3.2-7", "",
		func(s *script) {
			s.connect(kept)
			for alias := uint16(1); alias <= s.connack.TopicAliasMaximum; alias++ {
				p := mqtt.Publish{Topic: fmt.Sprint("t", alias), Properties: mqtt.Properties{TopicAlias: alias}}
				s.say(mqtt.AppendPublish(nil, s.version, p))
			}
			s.log = nil
			s.say(mqtt.AppendPublish(nil, s.version, mqtt.Publish{Properties: mqtt.Properties{TopicAlias: 3}}))
			s.happened("published t3 ")
			s.again()
			s.log = nil
			s.say(s.hello(kept))
			s.hear("CONNACK present")
			s.say(mqtt.AppendPublish(nil, s.version, mqtt.Publish{Properties: mqtt.Properties{TopicAlias: 3}}))
			s.hear("DISCONNECT 82")
		},
	},
}

var subscriptionScenes = map[string]scene{
	"subscriptions are granted or refused, each": {
		"2.2.1-6 3.8.4-1 3.8.4-2 3.8.4-3 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2",
		"2.3.1-7 3.8.4-1 3.8.4-2 3.8.4-3 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2",
		func(s *script) {
			s.connect()
			s.subscribe(mqtt.Filter{Topic: "other", QoS: 2}, mqtt.Filter{Topic: "inbox", QoS: 2}, mqtt.Filter{Topic: "#"}, mqtt.Filter{Topic: "$share/g/inbox"})
			s.hear(s.either("SUBACK 0009008702a29e", "SUBACK 000980028080"))
			s.tellAll("a")
			s.hear("PUBLISH inbox a q2 id1")
			s.subscribe(mqtt.Filter{Topic: "inbox", QoS: 1}) // replaces
			s.hear(s.either("SUBACK 00090001", "SUBACK 000901"))
			s.tellAll("b")
			s.hear("PUBLISH inbox b q1 id2")
		},
	},
	"filters are checked": {
		"3.8.3-1 3.8.3-2 3.8.3-4 3.8.3-5 3.10.3-1 3.10.3-2 4.7.1-1 4.7.1-2 4.7.3-1 4.7.3-2 4.8.2-1 4.8.2-2",
		"3.8.3-1 3.8.3-3 3.8.3-4 3.10.3-1 3.10.3-2 4.7.1-2 4.7.1-3 4.7.3-1 4.7.3-2",
		func(s *script) {
			p := s.either("00", "")
			n := func(size int) string { return fmt.Sprintf("%02x", size+len(p)/2) }
			sub := func(reason, filter string, options byte) {
				s.t.Helper()
				s.fails(reason, unhex(s.t, fmt.Sprintf("82 %s 0001 %s %04x %x %02x", n(5+len(filter)), p, len(filter), filter, options)))
			}
			s.fails("81", unhex(s.t, "82 "+n(2)+" 0001 "+p))
			s.fails("81", unhex(s.t, "a2 "+n(2)+" 0001 "+p))
			s.fails("81", unhex(s.t, "a2 "+n(5)+" 0001 "+p+" 0001 ff"))
			for _, bad := range []string{"\xff", "a\x00", "", "#/a", "a#", "a+", "+a/b"} {
				sub("81", bad, 0)
			}
			sub("81", "inbox", 3)
			sub("81", "inbox", 0x40)
			if !s.five() {
				sub("", "inbox", 4)
				return
			}
			sub("81", "inbox", 0x30)
			sub("82", "$share/g/inbox", 4)
			sub("81", "$share//inbox", 0)
			sub("81", "$share/g", 0)
			sub("81", "$share/a+/inbox", 0)
		},
	},
	"UNSUBSCRIBE stops what is new and completes what was begun": {
		"3.10.4-1 3.10.4-2 3.10.4-3 3.10.4-4 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2",
		"3.10.4-1 3.10.4-2 3.10.4-3 3.10.4-4 3.10.4-5 3.10.4-6",
		func(s *script) {
			s.connect()
			s.subscribe(mqtt.Filter{Topic: "inbox", QoS: 2})
			s.heard = nil
			s.tellAll("a")
			s.hear("PUBLISH inbox a q2 id1")
			s.say(mqtt.AppendUnsubscribe(nil, s.version, 8, "Inbox", "inbox", "inbox/"))
			s.hear(s.either("UNSUBACK 000800110011", "UNSUBACK 0008"))
			s.tellAll("b")
			s.hear()
			s.puback(mqtt.PUBREC, 1, 0)
			s.hear("PUBREL 1")
			s.puback(mqtt.PUBCOMP, 1, 0)
			s.say(mqtt.AppendUnsubscribe(nil, s.version, 9, "inbox"))
			s.hear(s.either("UNSUBACK 00090011", "UNSUBACK 0009"))
		},
	},
}

var authScenes = map[string]scene{
	"a token is shown in CONNECT or asked for": {
		"4.12.0-1 4.12.0-2 4.12.0-4 4.12.0-5 4.12.0-6 3.1.2-33 3.15.2-1", "",
		func(s *script) {
			method := func(name string, data []byte) func(*mqtt.Connect) {
				return func(c *mqtt.Connect) { c.Properties.AuthMethod, c.Properties.AuthData = name, data }
			}
			s.say(s.hello(method("SCRAM", nil)))
			s.hear("CONNACK 8c")
			s.ends(Refused)
			s.bench = newBench()
			s.connect(method(TokenAuth, []byte("token")))
			if s.connack.AuthMethod != TokenAuth {
				s.t.Errorf("method %q", s.connack.AuthMethod)
			}
			s.bench = newBench()
			s.say(s.hello(method(TokenAuth, nil)))
			s.hear("AUTH 18 " + TokenAuth)
			s.say(mqtt.AppendAuth(nil, mqtt.ContinueAuth, mqtt.Properties{AuthMethod: TokenAuth, AuthData: []byte("token")}))
			s.hear("CONNACK")
			s.bench = newBench()
			s.say(s.hello(method(TokenAuth, nil)))
			s.hear("AUTH 18 " + TokenAuth)
			s.wire("c0 00") // not now
			s.hear("CONNACK 82")
			s.ends(Malformed)
			s.bench = newBench()
			s.refusal = mqtt.NotAuthorized
			s.say(s.hello(method(TokenAuth, nil)), mqtt.AppendAuth(nil, mqtt.ContinueAuth, mqtt.Properties{AuthMethod: TokenAuth}))
			s.hear("AUTH 18 "+TokenAuth, "CONNACK 87")
			s.ends(Refused)
			s.bench = newBench()
			s.connect()
			if s.connack.AuthMethod != "" {
				s.t.Errorf("method %q", s.connack.AuthMethod)
			}
			s.say(mqtt.AppendAuth(nil, mqtt.Reauthenticate, mqtt.Properties{AuthMethod: TokenAuth}))
			s.hear("DISCONNECT 82")
		},
	},
	"a new token is taken or ends the connection": {
		"4.12.1-2 4.12.0-5", "",
		func(s *script) {
			enter := func() {
				s.bench = newBench()
				s.connect(func(c *mqtt.Connect) { c.Properties.AuthMethod, c.Properties.AuthData = TokenAuth, []byte("t") })
			}
			renew := func(r mqtt.Reason, method string) {
				s.say(mqtt.AppendAuth(nil, r, mqtt.Properties{AuthMethod: method, AuthData: []byte("t2")}))
			}
			enter()
			renew(mqtt.Reauthenticate, TokenAuth)
			s.hear("AUTH " + TokenAuth)
			s.happened("refresh t2")
			s.answer = mqtt.NotAuthorized
			renew(mqtt.Reauthenticate, TokenAuth)
			s.hear("DISCONNECT 87")
			s.ends(Expired)
			enter()
			renew(mqtt.Reauthenticate, "SCRAM")
			s.hear("DISCONNECT 82")
			enter()
			renew(mqtt.ContinueAuth, TokenAuth)
			s.hear("DISCONNECT 82")
			enter()
			renew(mqtt.NotAuthorized, TokenAuth)
			s.hear("DISCONNECT 81")
		},
	},
}
