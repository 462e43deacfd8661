// Decides whether methods can be bypassed, and notifies an owner when the application uses them.
import { OutgoingMessage, type ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'

/** The write methods of a response of either kind. */
interface Written {
  write: (...args: never[]) => unknown
  end: (...args: never[]) => unknown
}

/** Holds bytes that must be written before those of other code. */
interface Held {
  flush(): void
}

const FAST = Symbol('tcp-sse.fast')

interface TakenOver extends ServerResponse {
  [FAST]?: Held
}

/**
 * Node's own methods at the time when this library was loaded. They are taken from the prototypes that define them, so
 * an override on a subclass, another prototype or an object is a different function.
 */
const HTTP1: Written = methodsOf(OutgoingMessage.prototype, 'write_(this,', '[kCorked]')
const HTTP2: Written = methodsOf(
  Http2ServerResponse.prototype as Written,
  'this[kState]',
  'this[kState]',
)
const socketWrite = nodesOwn(Writable.prototype.write, '_write(this,')

function methodsOf({ write, end }: Written, inWrite: string, inEnd: string): Written {
  return { write: nodesOwn(write, inWrite), end: nodesOwn(end, inEnd) }
}

/**
 * The method, if it is Node's own; otherwise a function that no object has, so that nothing is bypassed. A method can
 * have been replaced before this library was loaded, for example by instrumentation that is preloaded.
 *
 * @param mark - a use of a private variable of Node, in the source of the method since Node.js 20. A replacement cannot
 * have that variable
 */
function nodesOwn<T extends (...args: never[]) => unknown>(method: T, mark: string): T {
  const isNodes = Function.prototype.toString.call(method).includes(mark)
  return isNodes ? method : ((() => undefined) as unknown as T)
}

/** Whether this library itself is reading a method, to compare and not to call it. */
let comparing = false

/** Whether both methods of the response, looked up as a caller would, are Node's own. */
export function hasNodesMethods(res: Written): boolean {
  comparing = true
  try {
    const { write, end } = res
    return (
      (write === HTTP1.write && end === HTTP1.end) || (write === HTTP2.write && end === HTTP2.end)
    )
  } finally {
    comparing = false
  }
}

/** Whether the socket's `write` is Node's own. */
export function writesDirectly(socket: { readonly write: unknown }): boolean {
  comparing = true
  try {
    return socket.write === socketWrite
  } finally {
    comparing = false
  }
}

const OWNER = Symbol('tcp-sse.owner')

interface Watched {
  [OWNER]?: { onTouch(): void } | undefined
}

/** The prototypes of all watched objects. An application has a few, regardless of its number of connections. */
const prototypes = new Set<object>()
const MOST_PROTOTYPES = 16

/**
 * From now on, the owner is notified before one of these methods is read, to be called or wrapped, and before it is
 * replaced. `prototypesAreNodes` finds methods that are replaced on a prototype.
 *
 * @returns whether this is possible: the methods are those of the prototype
 */
export function watchMethods(
  object: object,
  names: readonly string[],
  owner: { onTouch(): void },
): boolean {
  const prototype = Object.getPrototypeOf(object)
  if (prototypes.size < MOST_PROTOTYPES) prototypes.add(prototype)
  if (!prototypes.has(prototype)) return false
  for (const name of names) {
    const accessor = accessorOf(name)
    const own = Object.getOwnPropertyDescriptor(object, name)
    if (own !== undefined && own.get === accessor.get) continue
    if (own !== undefined && own.value !== prototype[name]) return false
    Object.defineProperty(object, name, accessor)
  }
  ;(object as Watched)[OWNER] = owner
  return true
}

/** Removes the owner, unless another one has replaced it. */
export function unwatchMethods(object: object, owner: { onTouch(): void }): void {
  const watched = object as Watched
  if (watched[OWNER] === owner) watched[OWNER] = undefined
}

/** Whether the bypassed methods on the prototypes of watched objects are still Node's. */
export function prototypesAreNodes(): boolean {
  for (const prototype of prototypes) {
    const { write } = prototype as Written
    if (write !== socketWrite && !hasNodesMethods(prototype as Written)) return false
  }
  return true
}

const accessors = new Map<string, PropertyDescriptor>()

/** One accessor for all objects, so that they share a shape. */
function accessorOf(name: string): PropertyDescriptor {
  const before = accessors.get(name)
  if (before !== undefined) return before
  const accessor: PropertyDescriptor = {
    get(this: Watched) {
      // Otherwise each event of a tick would send the batch that the previous one started.
      if (!comparing) this[OWNER]?.onTouch()
      return Object.getPrototypeOf(this)[name]
    },
    set(this: Watched, value: unknown) {
      this[OWNER]?.onTouch()
      const property = { value, writable: true, configurable: true, enumerable: true }
      Object.defineProperty(this, name, property)
    },
    configurable: true,
    enumerable: false,
  }
  accessors.set(name, accessor)
  return accessor
}

/**
 * Ensures that code which writes to the response itself comes after the bytes that the transport holds. Does nothing if
 * the methods have been overridden, because the override may change what is written.
 */
export function takeOver(res: Written, transport: Held): boolean {
  if (!hasNodesMethods(res)) return false
  const taken = res as unknown as TakenOver
  taken[FAST] = transport
  taken.write = flushAndWrite
  taken.end = flushAndEnd
  return true
}

/** Whether the methods are unchanged since they were taken over, on the response and on its prototype. */
export function isTakenOver(res: Written): boolean {
  return (
    res.write === flushAndWrite &&
    res.end === flushAndEnd &&
    hasNodesMethods(Object.getPrototypeOf(res))
  )
}

/** Whether a write below the response bypasses only Node's own code. */
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

/** Holds bytes, and writes them through a stream's own methods. */
interface Slicing extends Held {
  /**
   * Whether the present call writes a slice of the transport's own. The answer is used up: what follows within the same
   * call is other code's.
   */
  takeOwnWrite(): boolean
}

/**
 * The same for a stream below the response. It keeps an override that it already has, because the transport calls it
 * too. Called again, it does nothing unless Node's own method is back.
 */
export function flushBefore(stream: Written, transport: Slicing): void {
  const taken = stream as unknown as TakenOver
  const isFirst = taken[FAST] === undefined
  taken[FAST] = transport
  for (const name of ['write', 'end'] as const) {
    const method: (...args: never[]) => unknown = stream[name]
    const isPrototypes = method === Object.getPrototypeOf(stream)[name]
    if (!isFirst && !isPrototypes) continue
    stream[name] = function (this: Written, ...args: never[]) {
      if (!transport.takeOwnWrite()) transport.flush()
      const now = isPrototypes ? Object.getPrototypeOf(this)[name] : method
      return now.apply(this, args)
    }
  }
}

/** Whether the kernel may accept the bytes later: its buffer is full or memory is short. */
export function isTransient(errno: number): boolean {
  return TRANSIENT.has(getSystemErrorName(errno))
}

const TRANSIENT = new Set(['EAGAIN', 'ENOBUFS', 'ENOMEM', 'EINTR'])

/** An error like Node's own. The kernel reports a connection's error only once, so it must not be lost here. */
export function sendError(errno: number): Error {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`send ${code}`), { code, errno, syscall: 'send' })
}
