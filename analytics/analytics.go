// Package analytics writes down what came of every attempt, and answers
// questions about it.
//
// Receipts reach a [Spool] on local disk first, which is all that their sender
// waits for. A [Writer] carries them on to ClickHouse in batches of thousands,
// each under a name that never changes, so that a batch sent twice counts
// once. A [Store] asks ClickHouse: traces, funnels, latencies, tallies.
//
// With ClickHouse away nothing is lost and nothing slows: receipts stay in the
// spool up to its bound, and [Writer.Status] says so.
package analytics
