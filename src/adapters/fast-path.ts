// The fast path's place in a response of Node's: who may pass it, and who must wait for it.
import type { ServerResponse } from 'node:http'
import { getSystemErrorName } from 'node:util'

/** Has bytes that must go before anybody else's. */
export interface Flushable {
  flush(): void
}

const FAST = Symbol('tcp-sse.fast')

interface TakenOver extends ServerResponse {
  [FAST]?: Flushable
}

/**
 * Whoever writes to the response behind the stream's back comes after what the stream has in the batch. Not where
 * somebody has wrapped the methods before: what is written may become something else then.
 */
export function takeOver(res: TakenOver, outlet: Flushable): boolean {
  if (Object.hasOwn(res, 'write') || Object.hasOwn(res, 'end')) return false
  res[FAST] = outlet
  res.write = flushAndWrite
  res.end = flushAndEnd
  return true
}

export function flushAndWrite(this: TakenOver, ...args: unknown[]): boolean {
  this[FAST]?.flush()
  return Object.getPrototypeOf(this).write.apply(this, args)
}

export function flushAndEnd(this: TakenOver, ...args: unknown[]): ServerResponse {
  this[FAST]?.flush()
  return Object.getPrototypeOf(this).end.apply(this, args)
}

/** Whether the kernel may take it later: the buffer is full, memory is short. */
export function isPassing(errno: number): boolean {
  return PASSING.has(getSystemErrorName(errno))
}

const PASSING = new Set(['EAGAIN', 'ENOBUFS', 'ENOMEM', 'EINTR'])

/** As Node's own errors are: the kernel tells a connection's error once, so it must not be lost here. */
export function sendError(errno: number): Error {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`send ${code}`), { code, errno, syscall: 'send' })
}
