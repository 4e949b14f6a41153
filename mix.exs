# The same application for Elixir projects: {:erlang_python, git: "..."} in their deps is all they need.
defmodule Mix.Tasks.Compile.ErlpyNative do
  # The NIF, as a compiler step: what `rebar3 compile` does in its hook.
  @moduledoc false
  use Mix.Task.Compiler

  @impl true
  def run(_args) do
    # Mix builds a dependency into the build directory of the project that names it.
    own? = String.starts_with?(Mix.Project.build_path(), File.cwd!() <> "/")

    case System.cmd("sh", ["scripts/build-native"],
           stderr_to_stdout: true,
           env: [{"ERLPY_AS_DEPENDENCY", if(own?, do: "", else: "1")}]
         ) do
      {_, 0} ->
        # priv/ may be new: only now can it be linked into the build.
        Mix.Project.build_structure()
        {:ok, []}

      {output, _} ->
        Mix.shell().error(output)
        {:error, []}
    end
  end

  @impl true
  def clean do
    File.rm_rf!("priv")
    File.rm_rf!("_build/native")
  end
end

defmodule ErlangPython.MixProject do
  use Mix.Project

  # One description of the application, for rebar3 and mix.
  @app_file Path.join([__DIR__, "erlang", "erlang_python.app.src"])
  @external_resource @app_file
  {:ok, [{:application, :erlang_python, properties}]} = :file.consult(@app_file)
  @properties properties

  def project do
    [
      app: :erlang_python,
      version: to_string(@properties[:vsn]),
      description: to_string(@properties[:description]),
      elixir: "~> 1.12",
      language: :erlang,
      erlc_paths: ["erlang"],
      erlc_include_path: "erlang",
      erlc_options: [:debug_info],
      compilers: [:erlpy_native, :erlang, :app],
      package: [licenses: ["Apache-2.0"]],
      deps: []
    ]
  end

  def application, do: Keyword.take(@properties, [:registered, :mod, :env])
end
