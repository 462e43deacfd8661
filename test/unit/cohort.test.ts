// What a cohort reports to its members, with simulated members and a simulated native call.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { addon } from '../../src/native/binding.js'
import { encodeEvent } from '../../src/sse/encode.js'
import { type BroadcastPage, PAGE } from '../../src/transport/fast/broadcast-page.js'
import { Cohort, type CohortMember } from '../../src/transport/fast/cohort.js'
import type { FastPath } from '../../src/transport/transport.js'

afterEach(() => void vi.restoreAllMocks())

let nextFd = 100

class Member implements CohortMember {
  readonly fd = nextFd++
  readonly ids: (string | undefined)[] = []
  readonly left: boolean[] = []
  bytes = 0
  rest = ''
  held = 0
  readonly fast: FastPath = {
    seat: undefined,
    claimDescriptor: () => this.fd,
    credit: () => {},
    holdBack: (bytes) => {
      this.held += bytes
    },
    takeRest: (rest, errno) => {
      this.rest = rest.toString()
      return errno === 0
    },
    writeText: () => 0,
  }

  credit(page: BroadcastPage, first: number, next: number): void {
    for (let index = first; index < next; index++) this.ids.push(page.id(index))
    this.bytes += page.bodyEnd(next) - page.bodyEnd(first)
  }

  onLeave(missed: boolean): void {
    this.left.push(missed)
  }
}

const event = (id: number) => encodeEvent({ id, data: 'x' })

describe.runIf(addon !== undefined)('Cohort', () => {
  /** The descriptors that each call was for; those of `short` take the chunk's length, those of `broken` none. */
  function native(short: ReadonlySet<number> = new Set(), broken: ReadonlySet<number> = new Set()) {
    const sent: number[] = []
    vi.spyOn(addon as NonNullable<typeof addon>, 'sendToEach').mockImplementation(
      (fds, from, to, _bytes, shorts) => {
        let whole = 0
        shorts[0] = 0
        for (let row = from; row < to; row++) {
          const fd = fds[row] as number
          if (fd < 0) continue
          sent.push(fd)
          if (!short.has(fd) && !broken.has(fd)) {
            whole += 1
            continue
          }
          const count = shorts[0] as number
          shorts.set([row, short.has(fd) ? 1 : -32], 1 + 2 * count)
          shorts[0] = count + 1
        }
        return whole
      },
    )
    return sent
  }

  function withMembers(count: number) {
    const cohort = new Cohort<Member>()
    const members = Array.from({ length: count }, () => new Member())
    for (const member of members) cohort.join(member)
    return { cohort, members }
  }

  function broadcast(cohort: Cohort<Member>, id: number, between: () => void = () => {}) {
    const outcome = { sent: 0, queued: 0, closed: 0 }
    cohort.begin(event(id))
    while (cohort.isSending) {
      cohort.sendSlice(2, outcome)
      between()
    }
    return outcome
  }

  it('reports to a member exactly what was sent since it joined, on request and when it leaves', () => {
    native()
    const { cohort, members } = withMembers(3)
    const [early] = members as [Member]
    const late = new Member()
    for (let id = 0; id < 2 * PAGE + 10; id++) {
      if (id === PAGE - 1) cohort.join(late)
      if (id === 5 || id === PAGE) early.fast.seat?.settle()
      broadcast(cohort, id)
    }
    for (const member of [...members, late]) member.fast.seat?.leave()
    const all = Array.from({ length: 2 * PAGE + 10 }, (_, id) => String(id))
    for (const { ids } of members) expect(ids).toEqual(all)
    expect(late.ids).toEqual(all.slice(PAGE - 1))
    expect(early.bytes).toBe(all.reduce((sum, id) => sum + event(Number(id)).bytes.length, 0))
    expect([cohort.size, early.fast.seat]).toEqual([0, undefined])
  })

  it('says to one that leaves between slices whether the broadcast had come to it, and never sends to its row again', () => {
    const sent = native()
    const { cohort, members } = withMembers(6)
    const [first, , , , , last] = members as Member[]
    let slices = 0
    broadcast(cohort, 1, () => {
      slices += 1
      if (slices !== 1) return
      first?.fast.seat?.leave()
      last?.fast.seat?.leave()
    })
    expect([first?.left, last?.left, first?.ids, last?.ids]).toEqual([[false], [true], ['1'], []])
    expect(sent).toEqual(members.slice(0, 5).map(({ fd }) => fd))
    const newcomer = new Member()
    cohort.join(newcomer)
    sent.length = 0
    broadcast(cohort, 2)
    const left = [...members.slice(1, 5), newcomer].map(({ fd }) => fd)
    expect([...sent].sort()).toEqual(left.sort())
    for (const member of members.slice(1, 5)) member.fast.seat?.leave()
    expect(members.slice(1, 5).map(({ ids }) => ids)).toEqual(Array(4).fill(['1', '2']))
  })

  it('lets rows that were not taken whole go, with the rest of their bytes', () => {
    const { cohort, members } = withMembers(4)
    const [whole, part, gone] = members as [Member, Member, Member]
    native(new Set([part.fd]), new Set([gone.fd]))
    expect(broadcast(cohort, 7)).toEqual({ sent: 2, queued: 1, closed: 1 })
    expect(part.rest).toBe('\r\nid: 7\ndata: x\n\n\r\n')
    expect([part.held, part.ids, gone.ids, whole.left]).toEqual([
      part.rest.length,
      ['7'],
      ['7'],
      [],
    ])
    expect(cohort.size).toBe(2)
  })

  it('takes a member of another cohort out of that first', () => {
    native()
    const { cohort, members } = withMembers(1)
    const [member] = members as [Member]
    const other = new Cohort<Member>()
    other.join(member)
    expect([cohort.size, other.size, member.left]).toEqual([0, 1, [false]])
    broadcast(cohort, 1)
    broadcast(other, 2)
    member.fast.seat?.leave()
    expect(member.ids).toEqual(['2'])
  })
})
