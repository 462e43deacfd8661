// `npm run bench:echo [-- --clients 1000 --seconds 20 --trials 2]`: what beats and echoes cost a server.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { commandLine, describeMachine, machine } from '../report/machine.js'
import { markdownTable } from '../report/table.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    trials: { type: 'string', default: '2' },
  },
})
const seconds = Number(values.seconds)
const pause = (s: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, s * 1_000))
const start = (file: string, args: string[]): ChildProcess =>
  fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ['--import', 'tsx'] })

interface Answer {
  cpu: number
  open: number
  echoes: number
}

async function ask(child: ChildProcess, message: string): Promise<Answer> {
  child.send(message)
  const [answer] = (await once(child, 'message')) as [Answer]
  return answer
}

async function trial(mode: string): Promise<Answer> {
  const server = start('./server.ts', [mode])
  const [port] = (await once(server, 'message')) as [number]
  const clients = start('./clients.ts', [mode, String(port), values.clients])
  try {
    for (let s = 0; (await ask(server, 'look')).open < Number(values.clients) && s < 30; s++)
      await pause(1)
    // The first echo, and other work at the start.
    await pause(6)
    await ask(server, 'start')
    await pause(seconds)
    return await ask(server, 'look')
  } finally {
    clients.kill('SIGKILL')
    server.kill('SIGKILL')
  }
}

const rows: string[][] = []
for (let n = 0; n < Number(values.trials); n++) {
  for (const mode of ['none', 'beats', 'echo']) {
    const { cpu, open, echoes } = await trial(mode)
    rows.push([
      mode,
      `${(cpu / seconds / 10).toFixed(2)} %`,
      String(open),
      (echoes / seconds).toFixed(0),
    ])
  }
}
console.log(`${describeMachine(machine(commandLine('bench:echo')))}\n`)
console.log(markdownTable(['mode', 'CPU of a core', 'streams', 'echoes a second'], rows))
