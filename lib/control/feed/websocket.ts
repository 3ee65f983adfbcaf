import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { FST_ERR_TASK_MISSING_WEBSOCKET, FST_ERR_TASK_UNSUPPORTED_WEBSOCKET } from '../../shared/errors'
import { Upgrades } from './upgrades'

/** The range of `peerDependencies`. Before it, a reset during a handshake whose hooks are busy ends the process. */
const [MAJOR, MINOR, PATCH] = [11, 3, 2]

/** The servers whose handshakes go to a `@fastify/websocket` that was registered here. */
const provided = new WeakSet<object>()

/**
 * Registers `@fastify/websocket` unless the caller has done so, and looks after the upgrades of the server.
 * @throws FST_ERR_TASK_MISSING_WEBSOCKET, FST_ERR_TASK_UNSUPPORTED_WEBSOCKET
 */
export async function provideWebsocket (app: FastifyInstance): Promise<Upgrades> {
  const plugin = loadWebsocket()
  const upgrades = Upgrades.of(app.server as Server)
  if (!app.hasDecorator('websocketServer')) {
    // A handshake must be answered once: the second feed of a server leaves it to the first.
    const server = provided.has(app.server) ? new EventEmitter() : upgrades.websockets
    provided.add(app.server)
    // Clients are not expected to send.
    await app.register(plugin, { options: { maxPayload: 1024, server } })
  }
  return upgrades
}

function loadWebsocket (): FastifyPluginAsync<{ options: object }> {
  let plugin, version: string
  try {
    plugin = require('@fastify/websocket')
    version = require('@fastify/websocket/package.json').version
  } catch (cause) {
    throw new FST_ERR_TASK_MISSING_WEBSOCKET({ cause })
  }
  if (!isSupported(version)) throw new FST_ERR_TASK_UNSUPPORTED_WEBSOCKET(version)
  return plugin
}

function isSupported (version: string): boolean {
  const [major, minor, patch] = version.split('.').map((part) => parseInt(part))
  return major === MAJOR && (minor > MINOR || (minor === MINOR && patch >= PATCH))
}
