// What follows from one look at one socket: a verdict, an end, the kernel's options, what its watchers hear.
import { isolated } from '../internal/rethrow.js'
import { TCP_CLOSE } from '../tcp/info.js'
import { observe } from './observe.js'
import { CLOCK_TOLERANCE } from './path.js'
import { column, isIdle } from './reading.js'
import { table } from './row.js'
import { countStall } from './stall-clock.js'
import { paceOf, quietUntil, type Subject } from './subject.js'
import { judge } from './verdict.js'
import type { Watchable, Watcher } from './watch.js'

/** When a look was made. */
export interface Moment {
  readonly now: number
  /** The same without the time for which the event loop was blocked: what the client did meanwhile could not be seen. */
  readonly loopTime: number
}

/**
 * Draws the conclusions from a look in a tick, which has been written to the subject's `spare`; it tells nothing where there
 * is no error number of 0. Each subject has both of its readings in a row of its own, so whatever a watcher does in between
 * (watch other sockets, release this one) changes none of them.
 *
 * @param activity - the kernel's `activity` when the look was made
 * @returns whether the connection is to be ended now
 */
export function examine<S extends Watchable>(
  subject: Subject<S>,
  activity: number,
  moment: Moment,
): boolean {
  const { now, loopTime } = moment
  // A watcher that was called earlier in this tick may have ended this one.
  if (subject.socket.destroyed || !subject.held) return false
  subject.nextLook = now + subject.plan.pace
  subject.activity = activity
  const reading = subject.spare
  if (table.get(reading, column.errno) !== 0) {
    noteProgressWithoutKernel(subject, loopTime)
    tellOfLook(subject, moment)
    return false
  }
  const previous = subject.observed ? subject.current : undefined
  observe(table, previous, reading, subject.plan, now)
  subject.advance(reading)
  noteProgress(subject, previous, loopTime)
  const { verdict } = subject
  subject.verdict = judge(table, previous, reading, subject.plan, now)
  if (subject.verdict !== verdict) {
    tell(subject, (watcher) => watcher.onVerdict?.(subject.verdict, verdict))
    // Whoever was told may have ended the watch, or begun another.
    if (!subject.held) return false
  }
  if (subject.ended) {
    subject.nextLook = now + subject.plan.urgentPace
    // Node is left one look's time to notice a close by itself: it knows the true error.
    if (previous === undefined || table.get(previous, column.state) !== subject.get(column.state))
      return false
    tellOfClose(subject)
    return true
  }
  if (subject.verdict === 'dead') {
    const evidence = subject.evidence()
    tell(subject, (watcher) => watcher.onPeerDead(evidence))
    return true
  }
  subject.silenceBeforeClose = subject.silentFor() ?? 0
  subject.change(subject.clockSettings())
  probeAgain(subject)
  subject.nextLook = now + paceOf(subject)
  subject.deadline = quietUntil(subject)
  tellOfLook(subject, moment)
  return false
}

/** Watchers of a socket that was found destroyed still watch: they have heard nothing. */
export function tellOfDestroyed(subject: Subject<Watchable>): void {
  const evidence = subject.evidence(0)
  tell(subject, (watcher) => watcher.onPeerGone(evidence))
}

/** The kernel forgets what was in flight when it gives up, so the last look before it counts. */
function tellOfClose(subject: Subject<Watchable>): void {
  const evidence = subject.evidence(subject.silenceBeforeClose)
  const closed = subject.get(column.state) === TCP_CLOSE
  const gaveUp = closed && evidence.silentFor > subject.plan.silence / 2
  tell(subject, (watcher) => {
    if (gaveUp) watcher.onPeerDead(evidence)
    else watcher.onPeerGone(evidence)
  })
}

/**
 * An idle peer that has left a probe unanswered is asked again sooner than keepalive, which counts seconds, would. Setting the
 * idle time starts the timer anew; it fires at once where the connection has been idle for longer
 * (tcp_sock_set_keepidle_locked, since Linux 2.4).
 */
function probeAgain(subject: Subject<Watchable>): void {
  const { plan, probedAt, kernel, socket, current } = subject
  const { keepAlive, probePace } = plan
  if (subject.get(column.probes) === 0 || !isIdle(table, current) || keepAlive === false) return
  const at = subject.get(column.at)
  const answeredAt = subject.get(column.answeredAt)
  // The first one has the time of a round trip before it counts as unanswered.
  const askedAt = Math.max(probedAt, answeredAt + keepAlive.idle)
  const pace = probedAt > answeredAt ? probePace : Math.max(probePace, subject.get(column.rtt) || 0)
  if (at - askedAt < pace - CLOCK_TOLERANCE) return
  subject.probedAt = at
  kernel.set(socket, [['TCP_KEEPIDLE', Math.ceil(keepAlive.idle / 1_000)]])
}

/** What a look tells of the bytes that wait, in the kernel or before it. */
function noteProgress(
  subject: Subject<Watchable>,
  previous: number | undefined,
  loopTime: number,
): void {
  const { kernel, socket } = subject
  const waiting =
    subject.get(column.unackedSegments) > 0 ||
    subject.get(column.unsent) > 0 ||
    kernel.pending(socket) > 0
  const acked = subject.get(column.bytesAcked)
  const moved = previous === undefined || acked !== table.get(previous, column.bytesAcked)
  countStall(subject, waiting, moved, loopTime)
}

/** Only what leaves user space is known. */
function noteProgressWithoutKernel(subject: Subject<Watchable>, loopTime: number): void {
  const { kernel, socket } = subject
  const progress = kernel.progress(socket)
  countStall(subject, kernel.pending(socket) > 0, progress !== subject.progress, loopTime)
  subject.progress = progress
  subject.deadline = 0
}

function tellOfLook(subject: Subject<Watchable>, { now, loopTime }: Moment): void {
  const stalledFor = loopTime - subject.progressAt
  tell(subject, (watcher) => {
    const deadline = watcher.onLook(now, stalledFor, subject.verdict, loopTime)
    subject.deadline = Math.min(subject.deadline, deadline)
    subject.nextLook = Math.min(subject.nextLook, deadline)
  })
  subject.align(now)
}

/** What one watcher does wrong harms no other. */
function tell(subject: Subject<Watchable>, action: (watcher: Watcher) => void): void {
  for (const watcher of subject.watchers) isolated(() => action(watcher))
}
