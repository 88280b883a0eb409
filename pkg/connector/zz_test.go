package connector_test
import ("testing";"time";"os";"github.com/taskscaler/taskscaler/pkg/connector")
func TestZZ(t *testing.T){ s:=startTinysshd(t); s.info.Timeout=3*time.Second
 err:=connector.Run(t.Context(), s.info, quick(connector.DialOptions{OnRetry:func(e error){t.Log(e)}}), connector.RunOptions{Command:"true"})
 t.Log(err); b,_:=os.ReadFile(s.log); t.Logf("%s",b); t.Log(s.cmd.Args) }
