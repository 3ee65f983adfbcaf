'use strict'
// Whatever asks for Fastify gets that of FASTIFY_DIR.
const Module = require('node:module')
const { createRequire } = Module

const requireThere = createRequire(`${process.env.FASTIFY_DIR}/package.json`)
const resolve = Module._resolveFilename
Module._resolveFilename = function (request, ...args) {
  return request === 'fastify' ? requireThere.resolve('fastify') : resolve.call(this, request, ...args)
}
