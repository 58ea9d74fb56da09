// Package subscriber is the bus: it follows tenants' channels on Redis
// pub/sub, decodes what is published on them to [Event]s, and says, honestly,
// when something may have been lost.
//
// Pub/sub is at-most-once. A [Subscriber] therefore tells its [Handler] three
// things beside the events: that every channel of a tenant is subscribed
// (Confirmed), up to which instant everything has been handled (Proof), and
// that events may be missing (Doubt, Gap, Refused).
//
// A [Publisher] is the other side: it publishes until Redis has acknowledged,
// and numbers events so that one that was lost before Redis is noticed, too.
// [Listen] is a bystander.
//
// # Invariants
//
//   - One connection, one life. A connection that fails is never repaired: a
//     new one is dialed and everything is subscribed anew. go-redis's silent
//     reconnect is made impossible by a dialer that works once.
//   - One queue. Events, subscription replies, PONGs and beats of a connection
//     are handled in the order in which the server sent them, by one
//     goroutine, so that a PONG proves that what came before it was handled.
//   - The reader never waits. A full queue drops messages; the doubt stands at
//     the place of the loss, after what was queued before it: raised earlier,
//     an older event still in the queue would be applied after the doubt and
//     pass for current. For the same reason a lost connection's doubt is
//     raised when its queue has been handled.
//   - A tenant is confirmed when as many replies have come as channels were
//     asked for and the last command was a subscribe. A reply that nobody
//     asked for, or a PONG that overtakes one, ends the life.
//   - A number that is missing in a sequence is waited for 200 ms, its event and
//     those after it are not. A repeated event is no doubt while it is among the
//     last 64 of its source; a doubt begins the sequences it concerns anew.
//   - No proof is given until each tenant that was followed when the
//     connection was made is confirmed.
//   - A fence is a PING that somebody waits for: when it is back, what the server had
//     received before has been handled. One is under way on a connection, and those who
//     ask meanwhile share the next.
//   - Follow and Unfollow state what is wanted; each connection's writer
//     brings the server there, in commands of at most 1,000 channels. A
//     reconnect is the same code from an empty start.
//
// # Goroutines
//
// [Subscriber.Run] owns all of them and returns when they have ended: one
// publishing beats, and for each live connection a reader, a handler, a
// writer, one sending PINGs and one watching for what does not come back. A
// [Publisher] has one while calls are under way; Close waits for it.
//
// Every method of [Subscriber] and [Publisher] is safe for concurrent use.
package subscriber
