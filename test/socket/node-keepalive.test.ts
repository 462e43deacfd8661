// Keepalive by Node alone: what the kernel then has, read by another program.
import { execFileSync, spawnSync } from 'node:child_process'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const noPython = spawnSync('python3', ['--version']).status !== 0
if (noPython)
  console.warn('SKIPPED: keepalive without the addon: there is no python3 to read it back')

/** Node's own interval and count came with Node 24; not every release line has them. */
const nodeCan = net.Socket.prototype.setKeepAlive.length >= 4

it.skipIf(noPython)(
  `sets ${nodeCan ? 'idle, interval and count' : 'idle, and says that interval and count need more,'} without the addon`,
  () => {
    const script = fileURLToPath(new URL('./node-keepalive.ts', import.meta.url))
    const output = execFileSync(process.execPath, ['--import', 'tsx', script], {
      // Not the sanitizer's runtime either: there is no native code of ours in it.
      env: { ...process.env, TCP_SSE_NO_ADDON: '1', LD_PRELOAD: '' },
      encoding: 'utf8',
    })
    const { addon, keepAliveDetails, outcome, kernel } = JSON.parse(output)
    expect(addon).toBe(false)
    expect(keepAliveDetails).toBe(nodeCan)
    // Rounded up to seconds, as with the addon.
    if (nodeCan) {
      expect(outcome).toEqual({ status: 'applied', applied: ['keepAlive'], skipped: {} })
      expect(kernel).toEqual([1, 8, 3, 5])
    } else {
      expect(outcome.status).toBe('partly')
      expect(outcome.skipped.keepAlive).toMatch(/^only idle/)
      expect(kernel.slice(0, 2)).toEqual([1, 8])
    }
  },
)
