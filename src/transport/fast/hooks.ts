// Whose methods may be bypassed, and who is told when an application uses them.
import { OutgoingMessage, type ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'

/** A response of either kind, as far as it is written to. */
interface Written {
  write: (...args: never[]) => unknown
  end: (...args: never[]) => unknown
}

/** Holds back bytes that must go before those of others. */
interface Held {
  flush(): void
}

const FAST = Symbol('tcp-sse.fast')

interface TakenOver extends ServerResponse {
  [FAST]?: Held
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

/** Whether it is this library that looks a method up: to compare it, and not to call it. */
let comparing = false

/** Whether both of the response's methods, looked up as a caller would, are Node's own. */
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

/** The prototypes of all that is watched: an application has a few, whatever number of connections. */
const prototypes = new Set<object>()
const MOST_PROTOTYPES = 16

/**
 * From now on the owner is told before one of these methods is looked up, to be called or wrapped, and before it is replaced.
 * One that is replaced on a prototype is found by `prototypesAreNodes`.
 *
 * @returns whether that is possible: the methods are those of the prototype
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

/** Ends that, if no other owner has come since. */
export function unwatchMethods(object: object, owner: { onTouch(): void }): void {
  const watched = object as Watched
  if (watched[OWNER] === owner) watched[OWNER] = undefined
}

/** Whether no prototype of what is watched has had methods replaced that are bypassed. */
export function prototypesAreNodes(): boolean {
  for (const prototype of prototypes) {
    const { write } = prototype as Written
    if (write !== socketWrite && !hasNodesMethods(prototype as Written)) return false
  }
  return true
}

const accessors = new Map<string, PropertyDescriptor>()

/** One for all objects: they keep a shape in common. */
function accessorOf(name: string): PropertyDescriptor {
  const before = accessors.get(name)
  if (before !== undefined) return before
  const accessor: PropertyDescriptor = {
    get(this: Watched) {
      // Else each event of a tick would send the batch that the one before it has begun.
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
 * Whoever writes to the response behind the stream's back comes after what the transport holds back. Not where somebody has
 * overridden the methods: what is written may become something else then.
 */
export function takeOver(res: Written, transport: Held): boolean {
  if (!hasNodesMethods(res)) return false
  const taken = res as unknown as TakenOver
  taken[FAST] = transport
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
export function isTransient(errno: number): boolean {
  return TRANSIENT.has(getSystemErrorName(errno))
}

const TRANSIENT = new Set(['EAGAIN', 'ENOBUFS', 'ENOMEM', 'EINTR'])

/** As Node's own errors are: the kernel tells a connection's error once, so it must not be lost here. */
export function sendError(errno: number): Error {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`send ${code}`), { code, errno, syscall: 'send' })
}
