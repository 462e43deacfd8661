// `npm run bench:outside [-- --clients 1000] [--within 10000] [--servers uvicorn,gunicorn] [--kinds idle,ticks,busy,shut]`
//
// The incident in the stack in which it happened. Half of the clients of a Python server vanish. What is left of them,
// without and with `tcp-sse guard` beside the server. Needs root, uvicorn, Starlette and Gunicorn.
import { readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ASGI } from '../../test/outside/asgi.js'
import { type Incident, open, PORT } from '../../test/outside/open.js'
import { type Command, range, Scene } from '../../test/outside/scene.js'
import { delay } from '../../test/support/delay.js'
import { waitFor } from '../../test/support/wait-for.js'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { markdownTable } from '../report/table.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    /** `--detect-within` of the guard, in milliseconds. */
    within: { type: 'string', default: '10000' },
    servers: { type: 'string', default: 'uvicorn,gunicorn' },
    kinds: { type: 'string', default: 'idle,ticks,busy,shut' },
  },
})
const [count, within] = [Number(values.clients), Number(values.within)]
const half = count / 2
/** How long the server is watched after the cut: the promise, and as long again for the living. */
const WATCHED = 2 * within + 2_000
/** For how long CPU is measured at the end. */
const CPU_TIME = 5_000

/** What the server sends and how the clients that vanish have read. */
const KINDS: Readonly<Record<string, Incident & { readonly words: string }>> = {
  idle: { kind: 'idle', words: 'idle' },
  ticks: { kind: 'ticks', words: '1 event/s' },
  busy: { kind: 'busy', words: '50 KB/s' },
  shut: { kind: 'busy', first: 'never', words: '50 KB/s, window shut' },
}

console.log(
  `${describeMachine(machine(commandLine('bench:outside')))} ${half} of ${count} clients vanish; D = ${within / 1_000} s.\n`,
)
const rows: string[][] = []
for (const server of values.servers.split(',') as (keyof typeof ASGI)[]) {
  for (const kind of values.kinds.split(',')) {
    for (const guarded of [false, true]) {
      process.stderr.write(`${server}, ${kind}, ${guarded ? 'with' : 'without'} the guard\n`)
      const { words, ...incident } = KINDS[kind] as Incident & { words: string }
      rows.push([
        server,
        words,
        guarded ? 'with' : 'without',
        ...(await vanish(ASGI[server], incident, guarded)),
      ])
    }
  }
}
console.log(
  markdownTable(
    [
      ...['server', 'clients', 'guard', 'ended, min - max', 'of the living'],
      ...['sockets', 'responses', '`is_disconnected()`', 'CPU of the server before', 'after'],
    ],
    rows,
  ),
)

/** The cells of one row: what is there so long after half of the clients have vanished. */
async function vanish(
  command: readonly string[],
  incident: Incident,
  guarded: boolean,
): Promise<string[]> {
  const scene = new Scene()
  try {
    const { pid = 0 } = await scene.serve(PORT, command)
    const flags = ['--port', `${PORT}`, '--detect-within', `${within}ms`, '--arm']
    const guard = guarded ? await scene.guard(...flags) : undefined
    await open(scene, incident, count)
    await guard?.sees(count)
    await settled(guard, incident)
    const before = await cpuOf(pid)
    const { doneAt } = scene.rig.cut(range(0, half))
    await delay(doneAt + WATCHED - Date.now())
    const after = await cpuOf(pid)
    return [
      ...endsOf(scene, guard, doneAt),
      `${scene.established(PORT)}`,
      `${scene.live(PORT)}`,
      `${scene.count(PORT, '/disconnected')}`,
      `${before} %`,
      `${after} %`,
    ]
  } finally {
    scene.close()
  }
}

/** A while, and until the windows of those that read nothing are shut. */
async function settled(guard: Command | undefined, { first }: Incident): Promise<void> {
  await delay(3_000)
  if (first !== 'never') return
  if (guard === undefined) await delay(10_000)
  else {
    const shut = (): boolean => guard.metric('connections', 'verdict="slow"') >= half
    await waitFor('their windows', shut, 60_000)
  }
}

/** When the vanished were ended, and how many of the others. */
function endsOf(scene: Scene, guard: Command | undefined, since: number): [string, string] {
  if (guard === undefined) return ['-', '-']
  const vanished = new Set(range(0, half).map((n) => scene.rig.clientAddress(n)))
  const ends = guard.closes()
  const mine = ends.filter(({ address }) => vanished.has(address)).map(({ at }) => at - since)
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1)
  const times = `${seconds(Math.min(...mine))} - ${seconds(Math.max(...mine))} s`
  return [`${mine.length} after ${times}`, `${ends.length - mine.length}`]
}

/** Percent of a core that a process and those of its group use. */
async function cpuOf(group: number): Promise<string> {
  const [ticks, at] = [ticksOf(group), performance.now()]
  await delay(CPU_TIME)
  // The kernel counts hundredths of a second.
  return (((ticksOf(group) - ticks) * 1_000) / (performance.now() - at)).toFixed(0)
}

function ticksOf(group: number): number {
  let sum = 0
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const fields = statOf(entry)
    const [, , processGroup, , , , , , , , , user, system] = fields
    if (Number(processGroup) === group) sum += Number(user) + Number(system)
  }
  return sum
}

/** The fields of /proc/PID/stat behind the name, which may contain spaces: state, parent, group and so on. */
function statOf(pid: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
