// The addon keeps nothing: many threads may load it, and a process that used it ends by itself, without a signal.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { addon } from '../../src/native/binding.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const file = process.env.TCP_SSE_ADDON ?? join(root, 'build', 'Release', 'addon.node')

function run(script: string): { status: number | null; signal: string | null; output: string } {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', script, file], {
    encoding: 'utf8',
  })
  return { status, signal, output: stdout + stderr }
}

describe.runIf(capabilities().addon)('the addon', () => {
  it('may be loaded by many threads at once', () => {
    const result = run(`
      const { Worker } = require('node:worker_threads')
      const code = 'const a = require(' + JSON.stringify(process.argv[1]) + '); a.inspectMany(new Int32Array([-1]), new Int32Array(1), 1, new Float64Array(a.fields.length))'
      for (let i = 0; i < 8; i++) new Worker(code, { eval: true }).on('error', (e) => { throw e })
    `)
    expect(result).toEqual({ status: 0, signal: null, output: '' })
  })
  it('throws a TypeError for a wrong call, and touches nothing', () => {
    const wrong: (() => unknown)[] = [
      () => addon?.setOption('1' as never, 0, 0),
      () => addon?.setOption(1, 999, 0),
      () => addon?.getOption(1, -1),
      () => addon?.inspectMany(new Int32Array(1), new Int32Array(2), 2, new Float64Array(1_000)),
      () => addon?.inspectMany(new Int32Array(2), new Int32Array(1), 2, new Float64Array(1_000)),
      () => addon?.inspectMany(new Int32Array(2), new Int32Array(2), 2, new Float64Array(1)),
      () => addon?.inspectMany(new Int32Array(1), Int32Array.of(-1), 1, new Float64Array(1_000)),
      () => addon?.inspectMany(new Int32Array(1), Int32Array.of(999), 1, new Float64Array(1_000)),
      () => addon?.inspectMany([] as never, new Int32Array(1), 0, new Float64Array(1)),
      () => addon?.setOptions(1, new Int32Array(3), 2, 0),
      () => addon?.setOptions(1, Int32Array.of(999, 0, 0), 1, 0),
      () => addon?.setOptions(1, Int32Array.of(-1, 0, 0), 1, 1),
      () => addon?.setOptions(1, new Int32Array(3), -1, 0),
      () => addon?.setOptions(1, [0, 0, 0] as never, 1, 0),
    ]
    for (const call of wrong) expect(call).toThrow(TypeError)
  })
  it('reports a bad descriptor by its error number, and NaN for the rest', () => {
    const row = new Float64Array(addon?.fields.length ?? 0)
    addon?.inspectMany(new Int32Array([-1]), new Int32Array(1), 1, row)
    expect(row[0]).toBe(9)
    expect([...row.slice(1)].every(Number.isNaN)).toBe(true)
    expect(addon?.setOption(-1, 0, 1)).toBe(-9)
  })
})
