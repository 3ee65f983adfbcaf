'use strict'
// Whatever asks for Fastify gets that of FASTIFY_DIR.
const Module = require('node:module')
const { createRequire } = Module

// Before the hook stands, which this would meet too.
const fastify = createRequire(`${process.env.FASTIFY_DIR}/package.json`).resolve('fastify')
const resolve = Module._resolveFilename
Module._resolveFilename = function (request, ...args) {
  return request === 'fastify' ? fastify : resolve.call(this, request, ...args)
}
