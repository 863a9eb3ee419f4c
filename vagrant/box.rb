# frozen_string_literal: true

# The image of the docker provider: built from box/Dockerfile, and rebuilt when its inputs change.

require 'digest'
require 'vagrant/util/subprocess'

# An error that Vagrant shows without a Ruby stack trace.
class ClusterError < Vagrant::Errors::VagrantError
  def initialize(text)
    @text = text
    super()
  end

  def error_message
    @text
  end
end

# Runs a local program and streams its output; returns whether it succeeded, and its last lines.
def run(interface, *command)
  output = []
  done = Vagrant::Util::Subprocess.execute(*command, notify: %i[stdout stderr]) do |_, text|
    output = (output + text.lines).last(40)
    interface&.detail(text.chomp)
  end
  [done.exit_code.zero?, output.join]
end

# The docker image of test machines.
class Box
  BASE = 'debian:bookworm'
  PARTS = %w[box/Dockerfile box/start node.sh].freeze

  # `base` is the base image.
  def initialize(folder, base)
    @folder = folder
    @base = base.to_s.empty? ? BASE : base
  end

  def name
    parts = PARTS.map { |part| File.read(File.join(@folder, part)) }
    "apim-deploy-box:#{Digest::SHA256.hexdigest([@base, *parts].join("\0"))[0, 12]}"
  end

  # Builds the image if docker does not have it.
  def ready(interface)
    File.open(File.join(@folder, PARTS.first)) do |lock|
      lock.flock(File::LOCK_EX) # machines start in parallel
      return if run(nil, 'docker', 'image', 'inspect', name).first

      interface.info("building the image #{name} from #{@base}, once")
      built, output = run(interface, 'docker', 'build', '--tag', name, '--build-arg', "BASE=#{@base}",
                        '--file', File.join(@folder, PARTS.first), @folder)
      raise ClusterError, "docker could not build #{name} from #{@base}:\n#{output}" unless built
    end
  end
end
