-module(u).
-compile([export_all,nowarn_export_all]).
-import(h,[t/2,t/3]).
all() -> h:start([{num_workers,1}]),
 h:exec("
import asyncio,time
async def acall(n): 
  await asyncio.sleep(n)
  return 1
def vslow():
  while True:
    time.sleep(1)
    yield 1
def fin(n):
  try:
    while True: yield 1
  finally: time.sleep(n)
class AI:
  def __aiter__(self): return self
  async def __anext__(self): raise ValueError('mine')
  async def aclose(self): raise OSError('close')
"),
 t("call timeout beside slow stream",fun()-> Me=self(), spawn_link(fun()->{ok,S}=py_stream:open({call,'__main__',vslow,[],#{}}), Me ! {r,[py_stream:next(S)||_<-[1,2,3]],py_stream:close(S)} end), timer:sleep(50),
   A=[py:call('__main__',acall,[5],#{},#{timeout=>100})||_<-[1,2,3]], receive {r,X,Y} -> {A,X,Y} end end,15000),
 {ok,#{restarts:=N}}=py_pool:stats(default), io:format("restarts ~p~n",[N]),
 h:exec("1"),
 t("masked",fun()-> {ok,S}=py_stream:open({call,'__main__','AI',[],#{}}), py_stream:next(S) end),
 t("three finals of 5.05 s",fun() -> Ss=[begin {ok,S}=py_stream:open({call,'__main__',fin,[5.05],#{}}), {ok,_}=py_stream:next(S), S end||_<-[1,2,3]], {ok,V}=py_stream:open({call,'__main__',fin,[0],#{}}), {ok,_}=py_stream:next(V), [spawn(fun()->ok end)||_<-[1]], Me=self(), _=Me, R=[timer:tc(fun()->py_stream:close(S) end)||S<-Ss], {ok,#{restarts:=M}}=py_pool:stats(default), {R,M-N,py_stream:next(V)} end,30000),
 t("owner with 3 such dies",fun() -> {ok,V}=py_stream:open({call,'__main__',fin,[0],#{}}), {ok,_}=py_stream:next(V), P=spawn(fun()-> [begin {ok,S}=py_stream:open({call,'__main__',fin,[5.05],#{}}), {ok,_}=py_stream:next(S), S end||_<-[1,2,3]], receive x->ok end end), timer:sleep(200), exit(P,kill), timer:sleep(16000), {ok,#{restarts:=M}}=py_pool:stats(default), {M-N,py_stream:next(V)} end,30000).
