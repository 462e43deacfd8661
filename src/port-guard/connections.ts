// All connections of the guarded ports: what the latest dump says of each, and which ones have come and gone.
import type { Watchable } from '../liveness/watch.js'
import {
  cookieOf,
  type DiagRows,
  diagColumn,
  dumpSockets,
  idOf,
  type SocketId,
} from '../tcp/diag.js'
import { column } from '../tcp/record.js'

const TCP_LISTEN = 10
/**
 * ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING: something can be unanswered in these. And LISTEN.
 */
const STATES = (1 << 1) | (1 << 4) | (1 << 8) | (1 << 9) | (1 << 11) | (1 << TCP_LISTEN)

/** A socket of another process. */
export class Connection implements Watchable {
  readonly id: SocketId
  readonly cookie: number
  /** When it was first seen, on the guard's clock. */
  readonly firstSeen: number
  /** It has ended, or its process has let go of it: then the kernel ends it by its own rules. */
  destroyed = false
  /** Where the latest dump has it. */
  row: number
  /** The latest dump that has it. */
  dump: number
  /** Whether keepalive asks the peer as the plan has it. */
  armed = false
  /** The earliest time from which a silence of its peer counts, on the guard's clock. See `readRow`. */
  silenceCountsFrom = Number.NEGATIVE_INFINITY
  /** Whether something was unanswered at the last look while it was not armed. */
  outstanding = false
  /** TCP_RTO_MAX_MS as the guard has set it, ms; `undefined` before it does. */
  retransmitMax: number | undefined

  constructor(id: SocketId, cookie: number, now: number, row: number, dump: number) {
    this.id = id
    this.cookie = cookie
    this.firstSeen = now
    this.row = row
    this.dump = dump
  }
}

/** A listening socket. */
export interface ListeningSocket {
  readonly id: SocketId
  readonly cookie: number
  readonly inode: number
}

/** What has changed since the dump before. */
export interface Changes {
  readonly arrived: readonly Connection[]
  readonly departed: readonly Connection[]
}

/** The connections of some ports, one dump after the other. */
export class Connections {
  readonly #ports: readonly number[]
  readonly #byCookie = new Map<number, Connection>()
  /** By their rows in the latest dump: the next one mostly has the same order. */
  #inOrder: (Connection | undefined)[] = []
  #dump = 0
  rows: DiagRows | undefined
  /** When the latest dump was over, and how long it took, ms. */
  at = Number.NEGATIVE_INFINITY
  #took = 0
  listening: readonly ListeningSocket[] = []

  constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  get size(): number {
    return this.#byCookie.size
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#byCookie.values()
  }

  /** Whether the latest dump has it. */
  has(connection: Connection): boolean {
    return connection.dump === this.#dump
  }

  /** The number in a column of the latest dump. */
  cell({ row }: Connection, column: number): number {
    const { numbers, width } = this.rows as DiagRows
    return numbers[row * width + column] as number
  }

  /**
   * When the row was made that the latest dump has of it: about, by its place. With tens of thousands of rows a dump takes longer
   * than an answer may seem older or younger from one look to the next (`CLOCK_TOLERANCE`).
   */
  madeAt({ row }: Connection): number {
    const { count = 0 } = this.rows ?? {}
    return this.at - this.#took * (1 - row / Math.max(1, count))
  }

  /** @throws {TcpSseError} `ERR_SOCK_DIAG`: everything is left as it was */
  refresh(clock: () => number): Changes {
    const startedAt = clock()
    const rows = dumpSockets(this.#ports, STATES, this.rows)
    const now = clock()
    this.rows = rows
    this.at = now
    this.#took = now - startedAt
    this.#dump += 1
    const arrived: Connection[] = []
    const listening: ListeningSocket[] = []
    const { numbers, width } = rows
    for (let row = 0; row < rows.count; row++) {
      const start = row * width
      const inode = numbers[start + diagColumn.inode] as number
      // Nobody has accepted it yet, or nobody holds it any more: no application waits for its end.
      if (inode === 0) continue
      const cookie = cookieOf(rows, row)
      if (numbers[start + column.state] === TCP_LISTEN) {
        listening.push({ id: idOf(rows, row), cookie, inode })
        continue
      }
      const known = this.#find(cookie, row)
      if (known === undefined) arrived.push(this.#add(cookie, row, now))
      else if (!known.destroyed) {
        known.row = row
        known.dump = this.#dump
      }
    }
    this.listening = listening
    return { arrived, departed: this.#departed() }
  }

  #find(cookie: number, row: number): Connection | undefined {
    const likely = this.#inOrder[row]
    if (likely?.cookie === cookie) return likely
    const known = this.#byCookie.get(cookie)
    this.#inOrder[row] = known
    return known
  }

  #add(cookie: number, row: number, now: number): Connection {
    const connection = new Connection(
      idOf(this.rows as DiagRows, row),
      cookie,
      now,
      row,
      this.#dump,
    )
    this.#byCookie.set(cookie, connection)
    this.#inOrder[row] = connection
    return connection
  }

  /** A dump may miss one while others come and go, but not two in a row. */
  #departed(): Connection[] {
    const departed: Connection[] = []
    for (const connection of this.#byCookie.values()) {
      if (connection.dump > this.#dump - 2 && !connection.destroyed) continue
      connection.destroyed = true
      this.#byCookie.delete(connection.cookie)
      departed.push(connection)
    }
    if (departed.length > 0)
      this.#inOrder = this.#inOrder.map((each) => (each?.destroyed ? undefined : each))
    this.#inOrder.length = Math.min(this.#inOrder.length, this.rows?.count ?? 0)
    return departed
  }
}
