// What `top` shows and what a scrape gets, as text.
import { describe, expect, it } from 'vitest'
import { metricsText } from '../../src/cli/metrics-text.js'
import { table } from '../../src/cli/table.js'
import type { PeerSnapshot, Verdict } from '../../src/index.js'

function peer(
  verdict: Verdict,
  remotePort: number,
  more: Partial<PeerSnapshot> = {},
): PeerSnapshot {
  return {
    localAddress: '10.0.0.1',
    localPort: 8_000,
    remoteAddress: '10.0.0.2',
    remotePort,
    verdict,
    silentFor: 0,
    seenFor: 61_000,
    armed: false,
    tcp: {
      unsent: 0,
      unackedSegments: 0,
      retransmits: 0,
      probes: 0,
      bytesAcked: 2_048,
      lastAckReceived: 1_500,
    },
    ...more,
  }
}

const peers = [
  peer('alive', 1),
  peer('dead', 2, { silentFor: 9_000 }),
  peer('slow', 3),
  peer('dead', 4, { silentFor: 20_000 }),
  peer('congested', 5),
  peer('half-closed', 6, { tcp: undefined }),
]

describe('the table of top', () => {
  it('has those in trouble first, the longest silence before the others', () => {
    const lines = table(peers, 200, 100).slice(2)
    expect(lines.map((line) => /:(\d) /.exec(line)?.[1]).join('')).toBe('426351')
    expect(lines[0]).toMatch(/10\.0\.0\.2:4 +dead +20\.0s +0 +0 +0 +1\.5s +2\.0K +8000 +61\.0s/)
  })

  it('fits every terminal, and leaves out the less useful columns first', () => {
    for (const width of [1, 10, 24, 40, 80, 132]) {
      for (const height of [1, 2, 3, 50]) {
        const lines = table(peers, width, height)
        expect(lines.length).toBeLessThanOrEqual(height)
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
      }
    }
    expect(table(peers, 40, 9)[1]).toBe('CLIENT                   VERDICT')
  })

  it('says what it does not know with a dash', () => {
    const line = table([peer('half-closed', 6, { tcp: undefined })], 200, 9)[2]
    expect(line).toMatch(/half-closed +- +- +- +- +- +-/)
  })

  it('cuts a long address, and none of its neighbours', () => {
    const address = '2001:db8:1111:2222:3333:4444:5555:6666'
    const line = table([peer('alive', 6, { remoteAddress: address })], 200, 9)[2]
    expect(line).toMatch(/^\[2001:db8:1111:2222:333… alive/)
  })
})

it('metrics are in the format of Prometheus: each family has help, type and samples, fixed labels only', () => {
  const text = metricsText({
    verdicts: { alive: 3, congested: 0, slow: 1, 'half-closed': 0, dead: 0 },
    listening: 1,
    armed: 2,
    armingProblem: undefined,
    closed: { 'peer-dead': 7, stalled: 0 },
    spared: 0,
    failed: 0,
    dumps: 12,
    samples: 3,
    failedDumps: 0,
  })
  expect(text).toContain('tcp_sse_port_guard_connections{verdict="slow"} 1\n')
  expect(text).toContain(
    '# TYPE tcp_sse_port_guard_closed_total counter\ntcp_sse_port_guard_closed_total{reason="peer-dead"} 7\n',
  )
  for (const line of text.trim().split('\n')) {
    expect(line).toMatch(
      /^(# (HELP|TYPE) tcp_sse_port_guard_\w+ .+|tcp_sse_port_guard_\w+(\{\w+="[\w-]+"\})? \d+)$/,
    )
  }
})
