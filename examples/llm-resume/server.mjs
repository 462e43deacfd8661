// Answers of a (simulated) model, token by token, over several processes. The browser's connection
// may be cut, and the process that serves it may be killed. The answer continues from another
// process, without a lost or repeated token. A stop reaches the producer, in whichever process it
// runs.
import cluster from 'node:cluster'
import { createServer } from 'node:http'
import { createChannels, createEventStream } from 'tcp-sse'
import { clusterHub } from 'tcp-sse/cluster'
import { answerTo } from './model.mjs'

const hub = clusterHub()
const history = { maxEvents: 10_000, maxAge: 600_000 }

// Each answer has a channel for the producer's tokens. One more channel carries requests to all
// producers.
const answers = createChannels({ hub, history })
const orders = createChannels({ hub, history: { maxEvents: 100 } })

if (cluster.isPrimary) {
  // Producers run here, in the primary, which serves no clients. A job queue would work, too.
  const running = new Map()
  listenTo('orders', ({ start, prompt, stop }) => {
    if (stop !== undefined) running.get(stop)?.abort()
    if (start === undefined || running.has(start)) return
    const controller = new AbortController()
    running.set(start, controller)
    void produce(start, prompt, controller.signal).finally(() => running.delete(start))
  })
  const workers = Number(process.env.WORKERS ?? 2)
  for (let index = 0; index < workers; index++) fork()
} else {
  createServer((req, res) => void serve(req, res)).listen(
    Number(process.env.PORT ?? 0),
    '127.0.0.1',
    function () {
      process.send({ port: this.address().port })
    },
  )
}

async function produce(id, prompt, signal) {
  const answer = answers.get(`answer:${id}`)
  let reason = 'complete'
  for await (const token of answerTo(prompt, Number(process.env.PACE ?? 50))) {
    if (signal.aborted) {
      reason = 'stopped'
      break
    }
    await answer.broadcast({ event: 'token', data: token })
  }
  await answer.broadcast({ event: 'done', data: { reason } })
}

async function serve(req, res) {
  const { pathname, searchParams } = new URL(req.url, 'http://localhost')
  const id = searchParams.get('id') ?? ''
  if (pathname === '/answer' && req.method === 'GET') {
    // A client that reconnects first gets what it has missed. The application must check who may
    // see this answer.
    answers.get(`answer:${id}`).subscribe(createEventStream(req, res))
  } else if (pathname === '/ask' && req.method === 'POST') {
    await orders
      .get('orders')
      .broadcast({ data: { start: id, prompt: searchParams.get('prompt') } })
    res.writeHead(202).end()
  } else if (pathname === '/stop' && req.method === 'POST') {
    await orders.get('orders').broadcast({ data: { stop: id } })
    res.writeHead(202).end()
  } else if (pathname === '/worker') res.end(String(process.pid))
  else res.writeHead(404).end()
}

/** Programs can use a hub's feed, too: the text of each entry is an event. */
function listenTo(channel, take) {
  hub.open(
    channel,
    {
      start() {},
      gap() {},
      state() {},
      entry: ({ text }) => take(JSON.parse(text.slice('data: '.length))),
    },
    { maxEvents: 100 },
  )
}

/** Replaces a worker that has died. */
function fork() {
  const worker = cluster.fork()
  worker.on(
    'message',
    ({ port }) => port !== undefined && process.send?.({ port, pid: worker.process.pid }),
  )
  worker.once('exit', () => fork())
}

process.on('disconnect', () => process.exit())
