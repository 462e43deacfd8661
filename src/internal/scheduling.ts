// Node's clocks and queues as they were when this library was loaded, and outside of every request.
//
// Two things go wrong with the globals. Fake timers (Jest, vitest, Sinon) replace them for the time of a test: a callback
// that was handed to a fake may never come, and whatever waits for it waits for the rest of the process. And a callback
// keeps the AsyncLocalStorage stores of the code that has scheduled it: what all streams share would keep those of the
// request that came first, and show them to the callbacks of others.
import { AsyncResource } from 'node:async_hooks'
import perfHooks from 'node:perf_hooks'
import process from 'node:process'
import timers from 'node:timers'

const { nextTick } = process
const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers
const { performance } = perfHooks

/** Milliseconds of a monotonic clock. */
export const monotonicNow: () => number = performance.now.bind(performance)

/** Milliseconds since 1970, by the wall clock. */
export const wallClockNow: () => number = Date.now.bind(Date)

/** `async_hooks` (one for each AsyncLocalStorage), and AsyncContextFrame from Node 24 on. */
const STORES: ReadonlySet<string | undefined> = new Set(['kResourceStore', 'context_frame'])

const root = rootResource()

/** Runs what belongs to no request, or to another one than the present, without the present one's AsyncLocalStorage stores. */
export function inRootContext<T>(action: () => T): T {
  return root.runInAsyncScope(action)
}

/** Calls back once, in the root context; never keeps the process alive. Returns what cancels it. */
export function callAfter(milliseconds: number, callback: () => void): () => void {
  const timer = inRootContext(() => setTimeout(callback, milliseconds)).unref()
  return () => clearTimeout(timer)
}

/** Calls back again and again, in the root context; never keeps the process alive. Returns what ends it. */
export function callEvery(milliseconds: number, callback: () => void): () => void {
  const timer = inRootContext(() => setInterval(callback, milliseconds)).unref()
  return () => clearInterval(timer)
}

/** Calls back in the event loop's next turn, in the root context. */
export function callNextTurn(callback: () => void): void {
  inRootContext(() => setImmediate(callback))
}

/** Settles in the event loop's next turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** Settles after a while, or when the signal is aborted; keeps the process alive until then. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end)
  })
}

/** Whether `nextTick` has called back; where it is a fake already, `setImmediate` stands in for it. */
let tick: 'unproven' | 'real' | 'fake' = 'unproven'
const early: (() => void)[] = []

/** Calls back when the present tick's work is done, microtasks included; in the root context. */
export function callAtEndOfTick<T>(callback: (argument: T) => void, argument: T): void {
  if (tick === 'real') root.runInAsyncScope(nextTick, undefined, callback as never, argument)
  else if (tick === 'fake') callNextTurn(() => callback(argument))
  else {
    early.push(() => callback(argument))
    root.runInAsyncScope(nextTick, undefined, runEarly)
  }
}

/** Whichever of the two comes first runs what waits. */
function runEarly(): void {
  for (let next = early.shift(); next !== undefined; next = early.shift()) {
    try {
      next()
    } finally {
      if (early.length > 0) callNextTurn(runEarly)
    }
  }
}

root.runInAsyncScope(nextTick, undefined, () => {
  tick = 'real'
})
callNextTurn(() => {
  if (tick !== 'real') tick = 'fake'
  runEarly()
})

/**
 * A context without stores, also where the library is loaded from within a request, as a bundler's lazy modules are. Node
 * has no call for that: it copies the stores to a new resource under these symbols. Where they have other names, the root
 * context has the stores of the code that loaded the library.
 */
function rootResource(): AsyncResource {
  const resource = new AsyncResource('tcp-sse', { requireManualDestroy: true })
  for (const symbol of Object.getOwnPropertySymbols(resource)) {
    if (STORES.has(symbol.description)) Object.assign(resource, { [symbol]: undefined })
  }
  return resource
}
