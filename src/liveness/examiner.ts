// What follows from one look at one socket: a verdict, an end, the kernel's options, what its watchers hear.
import { isolated } from '../internal/rethrow.js'
import { TCP_CLOSE } from '../tcp/info.js'
import { observe } from './observe.js'
import { CLOCK_TOLERANCE } from './path.js'
import { column, isIdle } from './reading.js'
import { table } from './row.js'
import { paceOf, quietUntil, type SocketState } from './socket-state.js'
import { countStall } from './stall-clock.js'
import { judge } from './verdict.js'
import type { Watchable, Watcher } from './watch.js'

/** When a look was made. */
export interface Moment {
  readonly now: number
  /** The same without the time for which the event loop was blocked: what the client did meanwhile could not be seen. */
  readonly loopTime: number
}

/**
 * Draws the conclusions from a look in a tick, which has been written to the watched's `spare`; it tells nothing where there
 * is no error number of 0. Each watched has both of its readings in a row of its own, so whatever a watcher does in between
 * (watch other sockets, release this one) changes none of them.
 *
 * @param activity - the kernel's `activity` when the look was made
 * @returns whether the connection is to be ended now
 */
export function examine<S extends Watchable>(
  watched: SocketState<S>,
  activity: number,
  moment: Moment,
): boolean {
  const { now, loopTime } = moment
  // A watcher that was called earlier in this tick may have ended this one.
  if (watched.socket.destroyed || !watched.held) return false
  watched.nextSample = now + watched.plan.pace
  watched.activity = activity
  const reading = watched.spare
  if (table.get(reading, column.errno) !== 0) {
    noteProgressWithoutKernel(watched, loopTime)
    reportSample(watched, moment)
    return false
  }
  const previous = watched.observed ? watched.current : undefined
  observe(table, previous, reading, watched.plan, now)
  watched.advance(reading)
  noteProgress(watched, previous, loopTime)
  const { verdict } = watched
  watched.verdict = judge(table, previous, reading, watched.plan, now)
  if (watched.verdict !== verdict) {
    tell(watched, (watcher) => watcher.onVerdict?.(watched.verdict, verdict))
    // Whoever was told may have ended the watch, or begun another.
    if (!watched.held) return false
  }
  if (watched.ended) {
    watched.nextSample = now + watched.plan.urgentPace
    // Node is left one look's time to notice a close by itself: it knows the true error.
    if (previous === undefined || table.get(previous, column.state) !== watched.get(column.state))
      return false
    tellOfClose(watched)
    return true
  }
  if (watched.verdict === 'dead') {
    const evidence = watched.evidence()
    tell(watched, (watcher) => watcher.onPeerDead(evidence))
    return true
  }
  watched.silenceBeforeClose = watched.silentFor() ?? 0
  watched.change(watched.clockSettings())
  probeAgain(watched)
  watched.nextSample = now + paceOf(watched)
  watched.deadline = quietUntil(watched)
  reportSample(watched, moment)
  return false
}

/** Watchers of a socket that was found destroyed still watch: they have heard nothing. */
export function tellOfDestroyed(watched: SocketState<Watchable>): void {
  const evidence = watched.evidence(0)
  tell(watched, (watcher) => watcher.onPeerGone(evidence))
}

/** The kernel forgets what was in flight when it gives up, so the last look before it counts. */
function tellOfClose(watched: SocketState<Watchable>): void {
  const evidence = watched.evidence(watched.silenceBeforeClose)
  const closed = watched.get(column.state) === TCP_CLOSE
  const gaveUp = closed && evidence.silentFor > watched.plan.silence / 2
  tell(watched, (watcher) => {
    if (gaveUp) watcher.onPeerDead(evidence)
    else watcher.onPeerGone(evidence)
  })
}

/**
 * An idle peer that has left a probe unanswered is asked again sooner than keepalive, which counts seconds, would. Setting the
 * idle time starts the timer anew; it fires at once where the connection has been idle for longer
 * (tcp_sock_set_keepidle_locked, since Linux 2.4).
 */
function probeAgain(watched: SocketState<Watchable>): void {
  const { plan, probedAt, kernel, socket, current } = watched
  const { keepAlive, probePace } = plan
  if (watched.get(column.probes) === 0 || !isIdle(table, current) || keepAlive === false) return
  const at = watched.get(column.at)
  const answeredAt = watched.get(column.answeredAt)
  // The first one has the time of a round trip before it counts as unanswered.
  const askedAt = Math.max(probedAt, answeredAt + keepAlive.idle)
  const pace = probedAt > answeredAt ? probePace : Math.max(probePace, watched.get(column.rtt) || 0)
  if (at - askedAt < pace - CLOCK_TOLERANCE) return
  watched.probedAt = at
  kernel.set(socket, [['TCP_KEEPIDLE', Math.ceil(keepAlive.idle / 1_000)]])
}

/** What a look tells of the bytes that wait, in the kernel or before it. */
function noteProgress(
  watched: SocketState<Watchable>,
  previous: number | undefined,
  loopTime: number,
): void {
  const { kernel, socket } = watched
  const waiting =
    watched.get(column.unackedSegments) > 0 ||
    watched.get(column.unsent) > 0 ||
    kernel.pending(socket) > 0
  const acked = watched.get(column.bytesAcked)
  const moved = previous === undefined || acked !== table.get(previous, column.bytesAcked)
  countStall(watched, waiting, moved, loopTime)
}

/** Only what leaves user space is known. */
function noteProgressWithoutKernel(watched: SocketState<Watchable>, loopTime: number): void {
  const { kernel, socket } = watched
  const progress = kernel.progress(socket)
  countStall(watched, kernel.pending(socket) > 0, progress !== watched.progress, loopTime)
  watched.progress = progress
  watched.deadline = 0
}

function reportSample(watched: SocketState<Watchable>, { now, loopTime }: Moment): void {
  const stalledFor = loopTime - watched.progressAt
  tell(watched, (watcher) => {
    const deadline = watcher.onSample(now, stalledFor, watched.verdict, loopTime)
    watched.deadline = Math.min(watched.deadline, deadline)
    watched.nextSample = Math.min(watched.nextSample, deadline)
  })
  watched.align(now)
}

/** What one watcher does wrong harms no other. */
function tell(watched: SocketState<Watchable>, action: (watcher: Watcher) => void): void {
  for (const watcher of watched.watchers) isolated(() => action(watcher))
}
