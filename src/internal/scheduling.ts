// Node's clocks and queues as they were when this library was loaded, outside the context of any request.
//
// The globals have two problems. First, fake timers (Jest, vitest, Sinon) replace them during a test: a callback that
// was
// passed to a fake may never run, and code that waits for it waits for the rest of the process. Second, a callback
// keeps the
// AsyncLocalStorage stores of the code that scheduled it. A timer that all streams share would keep the stores of the
// first
// request and expose them to the callbacks of others.
import { AsyncResource } from 'node:async_hooks'
import perfHooks from 'node:perf_hooks'
import process from 'node:process'
import timers from 'node:timers'

const { nextTick } = process
const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers
const { performance } = perfHooks

/** Milliseconds of a monotonic clock. */
export const monotonicNow: () => number = performance.now.bind(performance)

/** Milliseconds since 1970, from the wall clock. */
export const wallClockNow: () => number = Date.now.bind(Date)

/** The symbols of `async_hooks` (one for each AsyncLocalStorage), and of AsyncContextFrame since Node 24. */
const STORES: ReadonlySet<string | undefined> = new Set(['kResourceStore', 'context_frame'])

const root = rootResource()

/** Runs `action` without the AsyncLocalStorage stores of the current request. */
export function inRootContext<T>(action: () => T): T {
  return root.runInAsyncScope(action)
}

/** Calls back once, in the root context; never keeps the process alive. Returns a function that cancels the timer. */
export function callAfter(milliseconds: number, callback: () => void): () => void {
  const timer = inRootContext(() => setTimeout(callback, milliseconds)).unref()
  return () => clearTimeout(timer)
}

/**
 * Calls back repeatedly, in the root context; never keeps the process alive. Returns a function that stops the timer.
 */
export function callEvery(milliseconds: number, callback: () => void): () => void {
  const timer = inRootContext(() => setInterval(callback, milliseconds)).unref()
  return () => clearInterval(timer)
}

/** Calls back in the next turn of the event loop, in the root context. */
export function callNextTurn(callback: () => void): void {
  inRootContext(() => setImmediate(callback))
}

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** Resolves after a delay, or when the signal aborts; keeps the process alive until then. */
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

/**
 * Whether `nextTick` has called back. If it was already a fake when the library was loaded, `setImmediate` replaces it.
 */
let tick: 'unproven' | 'real' | 'fake' = 'unproven'
const early: (() => void)[] = []

/** Calls back at the end of the current tick, after microtasks, in the root context. */
export function callAtEndOfTick<T>(callback: (argument: T) => void, argument: T): void {
  if (tick === 'real') root.runInAsyncScope(nextTick, undefined, callback as never, argument)
  else if (tick === 'fake') callNextTurn(() => callback(argument))
  else {
    early.push(() => callback(argument))
    root.runInAsyncScope(nextTick, undefined, runEarly)
  }
}

/** Runs the waiting callbacks. Both `nextTick` and `setImmediate` call this; the first call does the work. */
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
 * Returns a context without stores, even if the library is loaded during a request, as lazy modules of a bundler are.
 * Node has
 * no call for this: it copies the stores to a new resource under these symbols. If a Node version uses other symbols,
 * the root
 * context has the stores of the code that loaded the library.
 */
function rootResource(): AsyncResource {
  const resource = new AsyncResource('tcp-sse', { requireManualDestroy: true })
  for (const symbol of Object.getOwnPropertySymbols(resource)) {
    if (STORES.has(symbol.description)) Object.assign(resource, { [symbol]: undefined })
  }
  return resource
}
