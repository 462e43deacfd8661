// A server that knows nothing of a rig, and does not end by itself.
import http from 'node:http'

http.createServer((_req, res) => void res.write('hello')).listen(0)
