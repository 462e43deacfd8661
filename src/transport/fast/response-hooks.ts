// The fast path's place in a response of Node's: whose methods it may bypass, and who must wait for it.
import { OutgoingMessage, type ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'

/** Has bytes that must go before anybody else's. */
export interface Flushable {
  flush(): void
}

/** A response of either kind, as far as it is written to. */
interface Written {
  write: (...args: never[]) => unknown
  end: (...args: never[]) => unknown
}

const FAST = Symbol('tcp-sse.fast')

interface TakenOver extends ServerResponse {
  [FAST]?: Flushable
}

/**
 * Node's own methods, as they were when this library was loaded. Taken from the prototypes that define them: whatever
 * somebody has put in front of these, on a subclass, a prototype further down or an object, is another function.
 */
const HTTP1: Written = methodsOf(OutgoingMessage.prototype)
const HTTP2: Written = methodsOf(Http2ServerResponse.prototype as Written)
const socketWrite = Writable.prototype.write

function methodsOf({ write, end }: Written): Written {
  return { write, end }
}

/** Whether both of the response's methods, looked up as a caller would, are Node's own. */
function hasNodesMethods({ write, end }: Written): boolean {
  return (
    (write === HTTP1.write && end === HTTP1.end) || (write === HTTP2.write && end === HTTP2.end)
  )
}

/** Whether the socket's `write` is Node's own. */
export function writesDirectly(socket: Socket): boolean {
  return socket.write === socketWrite
}

/**
 * Whoever writes to the response behind the stream's back comes after what the outlet holds back. Not where somebody has
 * overridden the methods: what is written may become something else then.
 */
export function takeOver(res: Written, outlet: Flushable): boolean {
  if (!hasNodesMethods(res)) return false
  const taken = res as unknown as TakenOver
  taken[FAST] = outlet
  taken.write = flushAndWrite
  taken.end = flushAndEnd
  return true
}

/** Whether nobody has overridden the methods since they were taken over, on the response or on a prototype. */
export function isTakenOver(res: Written): boolean {
  return (
    res.write === flushAndWrite &&
    res.end === flushAndEnd &&
    hasNodesMethods(Object.getPrototypeOf(res))
  )
}

/** Whether writing to what is beneath the response leaves out nothing but Node's own code. */
export function isBypassable(res: Written): boolean {
  return isTakenOver(res) || hasNodesMethods(res)
}

function flushAndWrite(this: TakenOver, ...args: unknown[]): boolean {
  this[FAST]?.flush()
  return Object.getPrototypeOf(this).write.apply(this, args)
}

function flushAndEnd(this: TakenOver, ...args: unknown[]): ServerResponse {
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
